/** Values checked against JSON Schema (draft 2020-12; older drafts as far as their keywords mean the same). */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

export type Schema = { readonly [keyword: string]: unknown };

/** One compilation a schema object, for as long as somebody holds the schema. */
const compiled = new WeakMap<Schema, ValidateFunction | { readonly refused: string }>();

/**
 * What is wrong with a value, as a clause: "/days/0 must be integer"; undefined where it is right. A schema that cannot be
 * compiled allows everything: whose tool it is has to check then.
 */
export function schemaProblem(schema: Schema, value: unknown): string | undefined {
  const validate = validator(schema);
  if (typeof validate !== "function" || allows(validate, value)) return undefined;
  const problems = (validate.errors ?? []).map(({ instancePath, message = "is wrong", params }) => {
    const detail = params.additionalProperty ?? params.allowedValues;
    return `${instancePath || "it"} ${message}${detail === undefined ? "" : `: ${JSON.stringify(detail)}`}`;
  });
  return problems.slice(0, 3).join(", ");
}

/** A schema that refers to itself without end allows everything too. */
function allows(validate: ValidateFunction, value: unknown): boolean {
  try {
    return validate(value) as boolean;
  } catch {
    return true;
  }
}

/** Why a schema cannot be compiled, undefined where it can. */
export function schemaRefusal(schema: Schema): string | undefined {
  const found = validator(schema);
  return typeof found === "function" ? undefined : found.refused;
}

function validator(schema: Schema): ValidateFunction | { readonly refused: string } {
  let found = compiled.get(schema);
  if (!found) {
    found = compile(schema);
    compiled.set(schema, found);
  }
  return found;
}

/** In an Ajv of its own: two servers may give one `$id` to different schemas. */
function compile({ $schema: _, ...schema }: Schema): ValidateFunction | { readonly refused: string } {
  try {
    return new Ajv2020({ strict: false, validateFormats: false, logger: false }).compile(schema);
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) };
  }
}
