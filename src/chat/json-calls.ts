/** Calls as Qwen writes them: `<tool_call>{"name": "f", "arguments": {...}}</tool_call>`, one a block. */
import { isObject } from "../model/json-fields.ts";
import type { JsonValue, ToolCall } from "../tools/tool.ts";
import type { CallBlock, CallFormat, FoundCall } from "./call-format.ts";

const start = "<tool_call>";
const end = "</tool_call>";
/** Objects and lists in one another, at most. */
const maxDepth = 64;

export const jsonCalls: CallFormat = {
  name: "json",
  start,
  end,
  block: () => new JsonBlock(),
  example: `${start}{"name": "f", "arguments": {"a": 1}}${end}`,
};

/** Ends at its end tag outside of strings; a string that has not ended at a line's end was none. */
class JsonBlock implements CallBlock {
  #text = "";
  #at = 0;
  #string = false;

  push(piece: string): { readonly found: readonly FoundCall[]; readonly rest?: string } {
    this.#text += piece;
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at];
      if (this.#string) {
        if (character === "\\") this.#at++;
        else if (character === '"' || character === "\n") this.#string = false;
      } else if (character === '"') {
        this.#string = true;
      } else if (character === "<") {
        const rest = this.#text.slice(this.#at, this.#at + end.length);
        if (rest === end) {
          return {
            found: [parseJsonCall(this.#text.slice(0, this.#at))],
            rest: this.#text.slice(this.#at + end.length),
          };
        }
        if (end.startsWith(rest)) break;
      }
    }
    return { found: [] };
  }

  end(): readonly FoundCall[] {
    return [parseJsonCall(this.#text)];
  }
}

function parseJsonCall(block: string): FoundCall {
  const text = block.trim();
  const malformed = (reason: string) => ({ text, reason });
  try {
    if (depthOf(text) > maxDepth) return malformed(`more than ${maxDepth} values in one another`);
    const call: unknown = JSON.parse(text);
    if (!isObject(call)) return malformed("it is no object");
    const { name } = call;
    let given: unknown = call.arguments ?? call.parameters ?? {};
    if (typeof given === "string") given = JSON.parse(given);
    if (typeof name !== "string" || name === "") return malformed('it has no "name"');
    if (!isObject(given)) return malformed('its "arguments" are no object');
    return { name, arguments: given as Readonly<Record<string, JsonValue>> } satisfies ToolCall;
  } catch (error) {
    return malformed(`it is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text.replace(/"(?:[^"\\]|\\.)*"/g, "")) {
    if (character === "{" || character === "[") deepest = Math.max(deepest, ++depth);
    else if (character === "}" || character === "]") depth--;
  }
  return deepest;
}
