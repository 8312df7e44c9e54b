/** Functions as the machines of calls need them: names, and the schema of the arguments as the JSON engine can keep it. */
import { ConstraintError } from "../errors.ts";
import { type JsonMachine, jsonMachine } from "./json-machine.ts";
import { checkSchemaSize } from "./json-schema.ts";

/** A function that may be called. */
export interface Callable {
  readonly name: string;
  /** JSON Schema of its arguments, an object's. */
  readonly parameters?: { readonly [keyword: string]: unknown } | undefined;
}

export interface PreparedCallable {
  readonly name: string;
  /** Parameters that a call can name. */
  readonly parameters: readonly string[];
  /** The arguments as one JSON object. */
  readonly json: JsonMachine;
}

type Schema = Readonly<Record<string, unknown>>;

/**
 * Schemas of other people's tools are full of what cannot be kept while the text is made (`pattern`, `format`,
 * `nullable`): such keywords are left out here, and checked by who makes the call.
 *
 * @param canName whether the form of the calls can name such a parameter
 * @throws ConstraintError for a tool that cannot be called in that form.
 */
export function prepareCallable(
  { name, parameters = {} }: Callable,
  canName: (parameter: string) => boolean = () => true,
): PreparedCallable {
  const what = `tool ${name}`;
  try {
    checkSchemaSize(parameters);
    const schema = kept({ ...parameters, type: "object" }) as Schema;
    const names = [...parameterNames(schema, schema, new Set())];
    const writable = names.filter(canName);
    const lost = names.find((one) => !writable.includes(one) && isRequired(schema, one));
    if (lost !== undefined) {
      throw new ConstraintError(what, `no call can name its parameter ${JSON.stringify(lost)}`);
    }
    return { name, parameters: writable, json: jsonMachine(schema) };
  } catch (cause) {
    if (!(cause instanceof ConstraintError) || cause.what === what) throw cause;
    throw new ConstraintError(what, cause.reason, { cause });
  }
}

/** Keywords whose values are schemas, lists of schemas, or schemas by name. */
const schemas = [
  ...["not", "if", "then", "else", "contains", "propertyNames", "additionalProperties", "additionalItems"],
  "items",
];
const lists = ["prefixItems", "allOf", "anyOf", "oneOf", "items"];
const named = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];
const values = [
  ...["type", "const", "enum", "required", "$ref", "title", "description", "default", "uniqueItems"],
  ...["minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength", "minContains"],
  ...["maxContains", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  "dependentRequired",
];

/** The schema with the keywords that the engine keeps. */
function kept(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  const known = Object.entries(schema).flatMap(([keyword, value]): [string, unknown][] => {
    if (lists.includes(keyword) && Array.isArray(value)) return [[keyword, value.map(kept)]];
    if (schemas.includes(keyword)) return [[keyword, kept(value)]];
    if (named.includes(keyword) && typeof value === "object" && value !== null) {
      return [[keyword, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, kept(one)]))]];
    }
    // The first drafts wrote them as booleans beside minimum and maximum.
    if (/^exclusiveM/.test(keyword) && typeof value === "boolean") return [];
    return values.includes(keyword) ? [[keyword, value]] : [];
  });
  return Object.fromEntries(known);
}

/** The parameters that a schema names, its parts' and references' included. */
function parameterNames(schema: unknown, root: Schema, seen: Set<unknown>): Set<string> {
  const names = new Set<string>();
  if (typeof schema !== "object" || schema === null || seen.has(schema)) return names;
  seen.add(schema);
  const { properties, $ref, allOf, anyOf, oneOf } = schema as Schema;
  if (typeof properties === "object" && properties !== null) {
    for (const [name, one] of Object.entries(properties)) if (one !== false) names.add(name);
  }
  const parts = [allOf, anyOf, oneOf].flatMap((list) => (Array.isArray(list) ? list : []));
  if (typeof $ref === "string") parts.push(referred(root, $ref));
  for (const part of parts) for (const name of parameterNames(part, root, seen)) names.add(name);
  return names;
}

function referred(root: Schema, reference: string): unknown {
  return reference
    .split("/")
    .slice(1)
    .reduce<unknown>((value, part) => {
      const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
      return typeof value === "object" && value !== null ? (value as Schema)[name] : undefined;
    }, root);
}

export function isRequired({ required }: Schema, name: string): boolean {
  return Array.isArray(required) && required.includes(name);
}
