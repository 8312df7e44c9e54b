/** Lines to messages: a line is a message, `"""` begins and ends one of several lines. */
import type { Line, LineSource } from "./line-source.ts";

const fence = '"""';

export type Input =
  | { readonly type: "message"; readonly text: string }
  /** A line that begins with a slash: `/set seed 7` is { name: "set", argument: "seed 7" }. */
  | { readonly type: "command"; readonly name: string; readonly argument: string }
  | { readonly type: "interrupt"; readonly empty: boolean }
  | { readonly type: "end" };

export interface Prompts {
  readonly first: string;
  readonly more: string;
}

/**
 * The next message or command. Empty lines are passed over. An input that ends inside `"""` gives what there is; Ctrl-C
 * there forgets it.
 */
export async function readInput(source: LineSource, prompts: Prompts): Promise<Input> {
  for (;;) {
    const line = await source.read(prompts.first);
    if (line.type !== "line") return line;
    const input = line.typed.trimStart().startsWith(fence)
      ? await readBlock(source, line, prompts.more)
      : lineInput(line.typed, line.text);
    if (input.type === "interrupt") return input;
    if (input.text.trim() === "") continue;
    source.remember(input.text);
    return input.type === "command" ? commandOf(input.text) : { type: "message", text: input.text };
  }
}

type Text = { readonly type: "message" | "command"; readonly text: string };

function lineInput(typed: string, text: string): Text {
  // A path such as /etc/hosts is no command.
  return { type: /^\s*\/[a-z?]+(\s|$)/.test(typed) ? "command" : "message", text };
}

function commandOf(text: string): Input {
  const [, name = "", argument = ""] = /^\s*\/(\S+)\s*([\s\S]*)$/.exec(text) ?? [];
  return { type: "command", name, argument: argument.trim() };
}

async function readBlock(
  source: LineSource,
  first: Extract<Line, { type: "line" }>,
  prompt: string,
): Promise<Text | { readonly type: "interrupt"; readonly empty: false }> {
  const lines: string[] = [];
  let typed = first.typed.trimStart().slice(fence.length);
  let text = first.text.trimStart().slice(fence.length);
  while (!typed.trimEnd().endsWith(fence)) {
    lines.push(text);
    const line = await source.read(prompt);
    if (line.type === "interrupt") return { type: "interrupt", empty: false };
    if (line.type === "end") return { type: "message", text: blockText(lines) };
    ({ typed, text } = line);
  }
  lines.push(text.trimEnd().slice(0, -fence.length));
  return { type: "message", text: blockText(lines) };
}

/** The lines of the fences themselves are empty where nothing stands beside the quotes. */
function blockText(lines: readonly string[]): string {
  const from = lines[0] === "" ? 1 : 0;
  const to = lines.length > from && lines.at(-1) === "" ? -1 : lines.length;
  return lines.slice(from, to).join("\n");
}
