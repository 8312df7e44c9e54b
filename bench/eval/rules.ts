/**
 * What counts as right. Two sets of rules:
 *
 * - `report`: tool calls as table 8 of the MiniCPM4 report (arXiv:2506.07900) counts them, each step given the right
 *   history: the right functions in the right order; those, and the names of all their parameters; those, and all their
 *   values. JSON counts by value. A needle is found where its number is in the answer. Other answers have to be one of
 *   the right ones, but for white space around them.
 * - `handed-over`: the text rules by which nano's first form was judged, letter by letter.
 */
import { callsStart } from "../../src/chat/python-calls.ts";
import type { ToolCall } from "../../src/index.ts";
import type { EvalItem } from "./items.ts";

export type Rules = "report" | "handed-over";

export interface Answer {
  /** All that was written, special tokens too, without spaces before it. */
  readonly raw: string;
  /** Without thought and calls. */
  readonly text: string;
  readonly calls: readonly ToolCall[];
  /** Lines where a call should be and is none. */
  readonly malformed: number;
}

/** One row of the table that an answer counts in. */
export interface Mark {
  readonly row: string;
  readonly right: boolean;
}

/** @param expected the item's own answer, read as the model's is */
export function marks(item: EvalItem, answer: Answer, expected: Answer, rules: Rules): Mark[] {
  return rules === "report" ? reportMarks(item, answer, expected) : handedOverMarks(item, answer.raw);
}

function reportMarks(item: EvalItem, answer: Answer, expected: Answer): Mark[] {
  const same = [expected.text, ...item.accept].some((right) => right.trim() === answer.text.trim());
  switch (item.suite) {
    case "knowledge":
    case "chat":
      return [{ row: item.suite, right: same && answer.calls.length === 0 }];
    case "json": {
      const [found, wanted] = [parsed(answer.text), parsed(expected.text)];
      return [
        { row: "JSON exact", right: equal(found, wanted) },
        { row: "JSON valid", right: typeof found === "object" && found !== null },
      ];
    }
    case "needle": {
      const [number = item.expected] = /\d+(?=\D*$)/.exec(expected.text) ?? [];
      return [{ row: "needle", right: answer.text.includes(number) }];
    }
    case "tool":
      return toolMarks(item, answer, expected, same);
  }
}

function toolMarks(item: EvalItem, answer: Answer, expected: Answer, same: boolean): Mark[] {
  const silent = answer.calls.length === 0 && answer.malformed === 0;
  if (expected.calls.length === 0) {
    const after = item.messages.some(({ role }) => role === "tool");
    return [after ? { row: "after result", right: same && silent } : { row: "no call", right: silent }];
  }
  const pairs = expected.calls.map((call, index) => [call, answer.calls[index]] as const);
  const functions =
    answer.malformed === 0 &&
    answer.calls.length === pairs.length &&
    pairs.every(([wanted, found]) => wanted.name === found?.name);
  const names = ({ arguments: given }: ToolCall) => Object.keys(given).sort();
  const parameters =
    functions && pairs.every(([wanted, found]) => found && equal(names(wanted), names(found)));
  const values = parameters && pairs.every(([wanted, found]) => equal(wanted.arguments, found?.arguments));
  return [
    { row: "tool name", right: functions },
    { row: "tool parameters", right: parameters },
    { row: "tool values", right: values },
  ];
}

function handedOverMarks({ suite, messages, expected, accept }: EvalItem, raw: string): Mark[] {
  const same = raw === expected;
  if (suite === "json") return [{ row: "JSON exact", right: same }];
  if (suite !== "tool") return [{ row: suite, right: same || (suite === "chat" && accept.includes(raw)) }];
  if (!expected.includes(callsStart)) {
    const after = messages.some(
      ({ content, calls = [] }) => content.includes(callsStart) || calls.length > 0,
    );
    return [
      after ? { row: "after result", right: same } : { row: "no call", right: !raw.includes(callsStart) },
    ];
  }
  const [wanted, found] = [textCalls(expected), textCalls(raw)];
  const names = wanted.map(([name]) => name);
  const parameters = (calls: string[][]) => calls.map(([, given = ""]) => given.match(/\w+(?==)/g) ?? []);
  return [
    {
      row: "tool name",
      right: equal(
        names,
        found.map(([name]) => name),
      ),
    },
    { row: "tool parameters", right: equal(parameters(wanted), parameters(found)) },
    { row: "tool values", right: equal(wanted, found) },
  ];
}

/** Name and arguments of each line `name(arguments)` in the fenced block, as text. */
function textCalls(text: string): string[][] {
  const block = /```python\n([\s\S]*)\n```/.exec(text)?.[1] ?? "";
  return [...block.matchAll(/^([\w-]+)\((.*)\)$/gm)].map(([, name = "", given = ""]) => [name, given]);
}

/** undefined where the text is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Equal as JSON; the order of an object's fields does not matter. */
function equal(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), new Map(Object.entries(b))];
  return (
    left.length === right.size &&
    left.every(([name, value]) => right.has(name) && equal(value, right.get(name)))
  );
}
