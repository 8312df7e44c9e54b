/** What tools give, as the text that a model reads. */
import { harmless } from "./harmless-text.ts";
import type { ToolContent, ToolResult } from "./tool.ts";

export function textResult(text: string, { isError }: { readonly isError?: boolean } = {}): ToolResult {
  return { content: [{ type: "text", text }], ...(isError && { isError }) };
}

/** A value, told as JSON; undefined is told as "done". */
export function jsonResult(value: unknown): ToolResult {
  const text = value === undefined ? "done" : (JSON.stringify(value) ?? String(value));
  return { content: [{ type: "text", text }], structured: value };
}

export function isToolResult(value: unknown): value is ToolResult {
  return (
    typeof value === "object" &&
    value !== null &&
    "content" in value &&
    Array.isArray(value.content) &&
    value.content.every((part: unknown) => typeof part === "object" && part !== null && "type" in part)
  );
}

/** A result as one text, without anything that could change a terminal. What is no text is named with its size. */
export function resultText({ content, structured, isError }: ToolResult): string {
  const parts = content.map(contentText).filter((text) => text !== "");
  const text =
    parts.length > 0 ? parts.join("\n") : structured === undefined ? "" : JSON.stringify(structured);
  const told = harmless(text);
  if (isError)
    return `Error: ${told === "" ? "it failed and does not say why" : told.replace(/^Error: /, "")}`;
  return told === "" ? "(no content)" : told;
}

function contentText(part: ToolContent): string {
  if (part.type === "text") return part.text;
  if (part.type === "resource") return part.text ?? `[resource ${part.uri}]`;
  const bytes = Math.floor((part.data.length * 3) / 4);
  return `[${part.type} ${part.mimeType}, ${bytes} bytes]`;
}
