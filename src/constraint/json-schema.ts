/** JSON Schemas as callers give them, and values checked against them. */
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { ConstraintError } from "../errors.ts";

export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** What Zod 4 and other libraries of the Standard JSON Schema interface give. */
export interface SchemaObject {
  readonly "~standard": { readonly jsonSchema?: { input(options: { readonly target: string }): unknown } };
}

/** A larger schema is nobody's, and deeper ones end the stack. */
const most = { bytes: 1 << 20, depth: 64 };

/** @throws ConstraintError for what is no schema, or one that refers to itself as an object. */
export function jsonSchemaOf(given: unknown): JsonSchema {
  if (typeof given === "boolean") return given;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new ConstraintError("schema", "it is neither JSON Schema nor a schema of Zod 4");
  }
  const schema = ("~standard" in given ? closed(standardSchema(given as SchemaObject)) : given) as JsonSchema;
  checkSchemaSize(schema);
  return JSON.parse(JSON.stringify(schema)) as JsonSchema;
}

function standardSchema({ "~standard": standard }: SchemaObject): unknown {
  try {
    const schema = standard.jsonSchema?.input({ target: "draft-2020-12" });
    if (schema !== undefined) return schema;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConstraintError("schema", `its library cannot write it as JSON Schema: ${reason}`, { cause });
  }
  throw new ConstraintError("schema", "its library cannot write it as JSON Schema");
}

/** Objects without fields that are not named: their library would drop such fields, and the model need not write them. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const entries = Object.entries(schema).map(([keyword, value]) => [
    keyword,
    ["allOf", "enum", "const", "default", "examples"].includes(keyword) ? value : closed(value),
  ]);
  const object = Object.fromEntries(entries) as Record<string, unknown>;
  const open = object.type === "object" && object.properties && object.additionalProperties === undefined;
  return open ? { ...object, additionalProperties: false } : object;
}

/** @throws ConstraintError for a schema that is too large or too deep to work with. */
export function checkSchemaSize(schema: JsonSchema): void {
  if (depthOf(schema, 0) > most.depth) {
    throw new ConstraintError("schema", `it is deeper than ${most.depth} or refers to itself as an object`);
  }
  if (JSON.stringify(schema).length > most.bytes) {
    throw new ConstraintError("schema", `it is longer than ${most.bytes} bytes`);
  }
}

/**
 * Patterns of names are tried by a backtracking engine, which a repeated group can keep busy for ever.
 *
 * @throws ConstraintError naming the pattern.
 */
export function refuseSlowPatterns(schema: unknown): void {
  if (typeof schema !== "object" || schema === null) return;
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "patternProperties" && typeof value === "object" && value !== null) {
      const slow = Object.keys(value).find((pattern) => /\)[+*{]/.test(pattern));
      if (slow !== undefined)
        throw new ConstraintError("schema", `patternProperties repeats a group: ${slow}`);
    }
    refuseSlowPatterns(value);
  }
}

function depthOf(value: unknown, depth: number): number {
  if (typeof value !== "object" || value === null || depth > most.depth) return depth;
  return Object.values(value).reduce<number>(
    (deepest, one) => Math.max(deepest, depthOf(one, depth + 1)),
    depth,
  );
}

/** What is wrong with a value, as a clause: "/days/0 must be integer"; undefined where it is right. */
export type Check = (value: unknown) => string | undefined;

/** A check by Ajv, in the schema's own draft: 2020-12 where it names none. @throws ConstraintError */
export function checkOf(schema: JsonSchema): Check {
  const old = typeof schema === "object" && /draft-0[467]/.test(String(schema.$schema));
  const { $schema: _, ...rest } = typeof schema === "object" ? schema : { $schema: undefined };
  const ajv = new (old ? Ajv : Ajv2020)({ strict: false, validateFormats: false, logger: false });
  try {
    const validate = ajv.compile(typeof schema === "object" ? rest : schema);
    return (value) => {
      if (validate(value)) return undefined;
      const problems = (validate.errors ?? []).map(
        ({ instancePath, message = "is wrong" }) => `${instancePath || "it"} ${message}`,
      );
      return problems.slice(0, 3).join(", ");
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConstraintError("schema", reason, { cause });
  }
}
