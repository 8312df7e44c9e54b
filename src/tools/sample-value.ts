/** A small value that a JSON Schema allows, for a call that only shows whether a tool answers. */
import { isObject } from "./json-object.ts";
import { type Schema, schemaProblem } from "./json-schema.ts";

/** Undefined where none is found that the schema allows. */
export function sampleValue(schema: Schema): unknown {
  const value = sample(schema, schema, 0);
  return schemaProblem(schema, value) === undefined ? value : undefined;
}

const maxDepth = 12;

function sample(given: unknown, root: Schema, depth: number): unknown {
  const schema = resolved(given, root);
  if (depth > maxDepth || !isObject(schema)) return null;
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  for (const list of [schema.examples, schema.enum])
    if (Array.isArray(list) && list.length > 0) return list[0];
  for (const list of [schema.anyOf, schema.oneOf]) {
    if (Array.isArray(list) && list.length > 0)
      return sample({ ...schema, anyOf: [], oneOf: [], ...record(list[0]) }, root, depth + 1);
  }
  if (Array.isArray(schema.allOf)) {
    return sample(
      Object.assign({}, schema, { allOf: undefined }, ...schema.allOf.map(record)),
      root,
      depth + 1,
    );
  }
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type ?? (schema.properties ? "object" : "string")) {
    case "object": {
      const required = Array.isArray(schema.required) ? schema.required : [];
      const properties = record(schema.properties);
      return Object.fromEntries(
        required.map((name) => [name, sample(properties[name] ?? {}, root, depth + 1)]),
      );
    }
    case "array":
      return Array.from({ length: count(schema.minItems) }, () =>
        sample(schema.items ?? {}, root, depth + 1),
      );
    case "integer":
    case "number":
      return sampleNumber(schema);
    case "boolean":
      return false;
    case "null":
      return null;
    default:
      return sampleText(schema);
  }
}

function sampleNumber({ minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf }: Schema): number {
  const step = typeof multipleOf === "number" && multipleOf > 0 ? multipleOf : 1;
  const least =
    typeof minimum === "number"
      ? minimum
      : typeof exclusiveMinimum === "number"
        ? exclusiveMinimum + step
        : undefined;
  const most =
    typeof maximum === "number"
      ? maximum
      : typeof exclusiveMaximum === "number"
        ? exclusiveMaximum - step
        : undefined;
  const wanted = Math.max(least ?? Number.NEGATIVE_INFINITY, Math.min(1, most ?? 1));
  return Math.ceil(wanted / step) * step;
}

function sampleText({ format, minLength }: Schema): string {
  const byFormat: Readonly<Record<string, string>> = {
    date: "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    email: "a@example.com",
    uri: "https://example.com",
    url: "https://example.com",
  };
  const text = (typeof format === "string" && byFormat[format]) || "test";
  return text.padEnd(count(minLength), "x");
}

/** References within the schema; others stay. */
function resolved(schema: unknown, root: Schema): unknown {
  let found = schema;
  for (let hops = 0; isObject(found) && typeof found.$ref === "string" && hops < maxDepth; hops++) {
    if (!found.$ref.startsWith("#/")) return {};
    const path = found.$ref.slice(2).split("/");
    found = path.reduce<unknown>(
      (at, part) => record(at)[part.replace(/~1/g, "/").replace(/~0/g, "~")],
      root,
    );
  }
  return found;
}

function count(value: unknown): number {
  return typeof value === "number" && value > 0 ? Math.min(value, 1000) : 0;
}

function record(value: unknown): Schema {
  return isObject(value) ? value : {};
}
