/**
 * Numbers while they are written: the engine checks bounds of fractions, constants, and the parts of a union only when a
 * number ends.
 */

/** Characters of a number: more say nothing more, and a model that is in doubt would write them for ever. */
const mostCharacters = 40;

/**
 * Whether a number that begins like `text` can still be of the schema, as far as the schema itself says it: by `const`,
 * `enum`, bounds, and the parts of a union. Numbers with bounds have no exponents, others at most two digits of them.
 */
export function canBecomeNumber(schema: unknown, text: string): boolean {
  if (text.length > mostCharacters || (text.length === mostCharacters && !/\d$/.test(text))) return false;
  if (/e[+-]?\d{3}/i.test(text)) return false;
  if (typeof schema !== "object" || schema === null) return true;
  const {
    const: only,
    enum: several,
    type,
    anyOf,
    oneOf,
  } = schema as { readonly [keyword: string]: unknown };
  const parts = [anyOf, oneOf].find((list) => Array.isArray(list));
  if (Array.isArray(parts) && !parts.some((part) => canBecomePart(part, text))) return false;
  const values = only !== undefined ? [only] : several;
  if (Array.isArray(values)) {
    return values.some((value) => typeof value === "number" && JSON.stringify(value).startsWith(text));
  }
  return type === "integer" || canBeWithin(boundsOf(schema as Bounds), text);
}

/** A part's type counts too, and its bounds where it is of integers. */
function canBecomePart(part: unknown, text: string): boolean {
  if (typeof part !== "object" || part === null) return part !== false;
  const types = "type" in part ? [part.type].flat() : ["number"];
  if (types.includes("number")) return canBecomeNumber({ ...part, type: "number" }, text);
  if (!types.includes("integer") || !/^-?\d*$/.test(text)) return false;
  return canBecomeNumber({ ...part, type: "number" }, text);
}

interface Bounds {
  readonly minimum?: unknown;
  readonly maximum?: unknown;
  readonly exclusiveMinimum?: unknown;
  readonly exclusiveMaximum?: unknown;
}

function boundsOf(schema: Bounds): readonly [least: number, most: number] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const least = [minimum, exclusiveMinimum].filter((value) => typeof value === "number");
  const most = [maximum, exclusiveMaximum].filter((value) => typeof value === "number");
  return [Math.max(Number.NEGATIVE_INFINITY, ...least), Math.min(Number.POSITIVE_INFINITY, ...most)];
}

function canBeWithin([least, most]: readonly [number, number], text: string): boolean {
  if (least === Number.NEGATIVE_INFINITY && most === Number.POSITIVE_INFINITY) return true;
  if (/e/i.test(text)) return false;
  if (text === "-") return least <= 0;
  if (text.startsWith("-")) return canBeWithin([-most, -least], text.slice(1));
  const [whole = "", fraction] = text.split(".");
  const value = Number(text);
  if (fraction !== undefined) return overlaps(value, value + 10 ** -fraction.length);
  if (whole === "0") return overlaps(0, 1);
  for (let scale = 1; scale <= 1e20; scale *= 10) {
    if (overlaps(value * scale, (value + 1) * scale)) return true;
  }
  return false;

  function overlaps(from: number, to: number): boolean {
    return from <= most && to >= least;
  }
}
