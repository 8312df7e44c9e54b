/** What tools and their results may take of the context. */
import type { Tokenizer } from "../model/tokenizer.ts";
import { definitionOf, type ToolDefinition } from "../tools/tool.ts";
import { selectTools } from "../tools/tool-selection.ts";
import type { Message } from "./message.ts";
import type { ToolUse } from "./tool-use.ts";

/** No token of a text is longer on average, so that more characters need not be looked at. */
const maxCharactersPerToken = 16;
/** What a cut result keeps at least, in tokens. */
const leastTokens = 16;

/**
 * A result cut to so many tokens, with a note that says how much is missing. A text of ten megabytes costs no more than
 * one that just does not fit.
 */
export function cutToTokens(text: string, tokens: number, tokenizer: Tokenizer): string {
  const most = Math.max(leastTokens, Math.floor(tokens));
  const looked = text.slice(0, most * maxCharactersPerToken);
  const encoded = tokenizer.encode(looked);
  if (encoded.length <= most && looked.length === text.length) return text;
  // The note takes about a dozen tokens itself.
  const kept = tokenizer.decode(encoded.subarray(0, most - 12), { special: true });
  const shown = kept.replace(/\ufffd$/, "");
  return `${shown}\n[cut here: ${shown.length} of ${text.length} characters]`;
}

/** Tokens that each of `count` results may take where `room` tokens are left. */
export function resultTokens(
  { toolResultTokens }: ToolUse,
  capacity: number,
  room: number,
  count: number,
): number {
  const answer = Math.min(512, capacity >> 2);
  return Math.min(toolResultTokens ?? capacity >> 2, (room - answer) / count);
}

/** The tools that the model is told of: see ToolUse.toolSelection. */
export function offeredTools(
  tools: readonly ToolDefinition[],
  messages: readonly Message[],
  { toolSelection = "auto", toolChoice }: ToolUse,
  capacity: number,
  tokenizer: Tokenizer,
): readonly ToolDefinition[] {
  if (toolChoice === "none") return [];
  if (toolSelection === "all") return tools;
  const question = messages.findLast(({ role }) => role === "user")?.content ?? "";
  const called = messages.flatMap(({ calls = [] }) => calls.map(({ name }) => name));
  const named = typeof toolChoice === "object" ? [toolChoice.name] : [];
  return selectTools(tools, {
    query: question,
    budget: capacity >> 2,
    sizeOf: (tool) => sizeOf(tool, tokenizer),
    keep: new Set([...called, ...named]),
  });
}

const sizes = new WeakMap<ToolDefinition, number>();

/** Tokens of a tool's description, about: as JSON, whatever the template makes of it. */
function sizeOf(tool: ToolDefinition, tokenizer: Tokenizer): number {
  const known = sizes.get(tool);
  if (known !== undefined) return known;
  const size = tokenizer.encode(JSON.stringify(definitionOf(tool))).length;
  sizes.set(tool, size);
  return size;
}
