/** Evaluation items: one JSON object a line, a conversation up to where the model has to answer and what it should say. */
import { readFileSync } from "node:fs";
import type { Message, ToolDefinition } from "../../src/index.ts";

export interface EvalItem {
  readonly id: string;
  readonly suite: Suite;
  /** `held`: words and wordings that no training example has. `seen`: new examples of training words. */
  readonly split: string;
  /** Ends with a user's message or a tool's result. */
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  /** The answer as the model was taught it, tags and all. */
  readonly expected: string;
  /** Other right answers. */
  readonly accept: readonly string[];
  readonly needle?: Needle;
}

/** A fact in a long text. */
export interface Needle {
  /** About how long the prompt is. */
  readonly tokens: number;
  /** Where the fact stands: 0 at the start, 1 at the end. */
  readonly depth: number;
  /** Facts of the same form in the text; one is asked for. */
  readonly keys: number;
}

const suites = ["knowledge", "chat", "json", "tool", "needle"] as const;
export type Suite = (typeof suites)[number];

/** @throws Error naming file and line of what is no item. */
export function readItems(file: string): EvalItem[] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      return [itemOf(JSON.parse(line))];
    } catch (error) {
      throw new Error(`${file}:${index + 1}: ${error instanceof Error ? error.message : error}`);
    }
  });
}

function itemOf(found: Record<string, unknown>): EvalItem {
  const { id, suite, split, messages, tools, expected, accept, needle } = found;
  const texts = { id, split, expected };
  for (const [name, text] of Object.entries(texts)) {
    if (typeof text !== "string") throw new Error(`${name} is no text`);
  }
  if (!suites.includes(suite as Suite)) throw new Error(`suite is none of ${suites.join(", ")}`);
  if (!Array.isArray(messages) || messages.length === 0) throw new Error("messages is no list of messages");
  if (suite === "needle" && typeof needle !== "object") throw new Error("needle is missing");
  return {
    ...(texts as Pick<EvalItem, keyof typeof texts>),
    suite: suite as Suite,
    messages,
    tools: ((tools ?? []) as (ToolDefinition & { function?: ToolDefinition })[]).map(
      (tool) => tool.function ?? tool,
    ),
    accept: (accept ?? []) as string[],
    ...(needle ? { needle: needle as Needle } : {}),
  };
}
