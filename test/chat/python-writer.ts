/** Writes values as Python would, in one of several styles. */
import type { JsonValue, ToolCall } from "../../src/tools/tool.ts";

/** @param style any number: decides quotes, spaces and how lists are written */
export function pythonLiteral(value: unknown, style: number): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return pythonString(value, style);
  const separator = style % 2 === 0 ? ", " : ",\n  ";
  if (Array.isArray(value)) {
    const items = value.map((item, index) => pythonLiteral(item, style + index)).join(separator);
    if (style % 3 !== 0) return `[${items}]`;
    return value.length === 1 ? `(${items},)` : `(${items})`;
  }
  const entries = Object.entries(value as object).map(
    ([name, field], index) => `${pythonString(name, style)}: ${pythonLiteral(field, style + index)}`,
  );
  return `{${entries.join(separator)}}`;
}

/** `name(a="b", c=1)`, values in Python's spelling, or in JSON's as templates write them where `style` is absent. */
export function pythonCall({ name, arguments: given }: ToolCall, style?: number): string {
  const literal = (value: JsonValue) =>
    style === undefined ? JSON.stringify(value) : pythonLiteral(value, style);
  const pairs = Object.entries(given).map(([parameter, value]) => `${parameter}=${literal(value)}`);
  return `${name}(${pairs.join(style === undefined ? "," : ", ")})`;
}

function pythonString(text: string, style: number): string {
  const mark = ['"', "'", '"""', "'''"][style % 4] as string;
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll(mark[0] as string, `\\${mark[0]}`)
    .replaceAll("\r", "\\r");
  return mark + (mark.length === 3 ? escaped : escaped.replaceAll("\n", "\\n")) + mark;
}
