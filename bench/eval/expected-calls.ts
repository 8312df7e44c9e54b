/** Calls that are right, and how an answer's calls compare: table 8 of the MiniCPM4 report (arXiv:2506.07900). */
import type { JsonValue, Message, ToolCall, ToolDefinition } from "../../src/index.ts";

/** A conversation up to where the model has to call, or has to leave it. */
export interface CallItem {
  readonly id: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  /** None: a call would be wrong. */
  readonly expected: readonly ExpectedCall[];
}

export interface ExpectedCall {
  readonly name: string;
  /** The values that are right for each parameter. */
  readonly values: Readonly<Record<string, readonly JsonValue[]>>;
  /** Parameters that may be left out. */
  readonly optional: readonly string[];
}

export interface CallMarks {
  /** The right functions in the right order. */
  readonly names: boolean;
  /** Those, and their parameters: all that there have to be, none that there are not. */
  readonly parameters: boolean;
  /** Those, and right values for all. */
  readonly values: boolean;
}

export function markCalls(expected: readonly ExpectedCall[], calls: readonly ToolCall[]): CallMarks {
  const pairs = expected.map((wanted, index) => [wanted, calls[index]] as const);
  const names =
    calls.length === expected.length && pairs.every(([wanted, call]) => wanted.name === call?.name);
  const parameters =
    names && pairs.every(([wanted, call]) => call !== undefined && hasParameters(wanted, call));
  const values = parameters && pairs.every(([wanted, call]) => call !== undefined && hasValues(wanted, call));
  return { names, parameters, values };
}

function hasParameters({ values, optional }: ExpectedCall, { arguments: given }: ToolCall): boolean {
  const needed = Object.keys(values).filter((name) => !optional.includes(name));
  return needed.every((name) => name in given) && Object.keys(given).every((name) => name in values);
}

function hasValues({ values }: ExpectedCall, { arguments: given }: ToolCall): boolean {
  return Object.entries(given).every(([name, value]) => values[name]?.some((right) => equal(right, value)));
}

/** Equal as JSON; the order of an object's fields does not matter. */
function equal(a: JsonValue, b: JsonValue): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), new Map(Object.entries(b))];
  return (
    left.length === right.size &&
    left.every(([name, value]) => right.has(name) && equal(value, right.get(name) as JsonValue))
  );
}
