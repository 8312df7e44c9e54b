/** JSON of unknown origin: objects told from all else. (src/model has its own: neither knows the other.) */

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
