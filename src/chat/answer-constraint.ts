/** What an answer is held to, from its options; and the value it comes to. */
import type { Constraint } from "../constraint/constraint.ts";
import { type CallRules, Engines, type EnginesSource } from "../constraint/engines.ts";
import { jsonSchemaOf } from "../constraint/json-schema.ts";
import { OptionError } from "../errors.ts";
import { byteCharacters } from "../model/token-bytes.ts";
import type { JsonValue, ToolDefinition } from "../tools/tool.ts";
import type { Question, Voice } from "./answer.ts";
import type { CallFormat } from "./call-format.ts";
import type { GenerateOptions } from "./generate-options.ts";
import { pythonCalls } from "./python-calls.ts";
import type { Result } from "./result.ts";
import { thoughtTags } from "./thinking.ts";
import type { ToolChoice } from "./tool-use.ts";

export interface AnswerConstraint {
  readonly constraint: Constraint;
  /** What a result gains: the value, or why there is none. */
  valueOf(result: Pick<Result, "text" | "calls" | "finishReason">): Pick<Result, "value" | "valueProblem">;
}

/** By voice: made when they are first needed. */
const engines = new WeakMap<Voice, Engines>();

/**
 * Undefined where the options ask for nothing.
 *
 * @throws ConstraintError, OptionError before any work.
 */
export async function answerConstraint(
  voice: Voice,
  {
    plain = false,
    openedThought: opened,
    canThink = false,
    calls = pythonCalls,
    tools = [],
    options,
  }: Question,
): Promise<AnswerConstraint | undefined> {
  const { schema: given, grammar, toolChoice, thinking } = options;
  refuseContradictions(options, tools);
  const thinks = !plain && thinking !== false && (canThink || tools.length > 0);
  const thoughts = { tags: thinks ? thoughtTags : [], opened };
  const mine = enginesOf(voice);
  if (grammar !== undefined) {
    return { constraint: await mine.grammar(grammar, thoughts), valueOf: () => ({}) };
  }
  if (given === undefined) {
    // Of no tool the model is told under "none", and it might call all the same.
    const mayHold = tools.length > 0 || toolChoice === "none";
    if (plain || toolChoice === undefined || !mayHold) return undefined;
    return { constraint: mine.calls(callRules(toolChoice, tools, calls), thoughts), valueOf: () => ({}) };
  }
  const schema = jsonSchemaOf(given);
  const check = mine.check(schema);
  const mayCall = !plain && tools.length > 0 && toolChoice !== "none";
  const rules = mayCall ? callRules("auto", tools, calls) : undefined;
  return {
    constraint: mine.schema(schema, thoughts, rules),
    valueOf: (result) => checkedValue(result, check),
  };
}

function refuseContradictions(options: GenerateOptions, tools: readonly ToolDefinition[]): void {
  const { schema, grammar, toolChoice, ignoreEos } = options;
  const has = (value: unknown) => value !== undefined;
  if (has(schema) && has(grammar))
    throw new OptionError("grammar", "left out where there is a schema", grammar);
  if (ignoreEos && (has(schema) || has(grammar) || has(toolChoice))) {
    throw new OptionError("ignoreEos", "left out where the answer has a form: it has an end", ignoreEos);
  }
  if (!has(toolChoice)) return;
  const name = typeof toolChoice === "object" ? toolChoice?.name : undefined;
  const known = ["auto", "none", "required"].includes(toolChoice as string) || typeof name === "string";
  if (!known) throw new OptionError("toolChoice", '"auto", "none", "required" or { name }', toolChoice);
  const forces = name !== undefined || toolChoice === "required";
  if (forces && (has(schema) || has(grammar))) {
    throw new OptionError("toolChoice", '"auto" or "none" where the answer is to be of a form', toolChoice);
  }
  if (forces && !tools.some((tool) => name === undefined || tool.name === name)) {
    throw new OptionError("toolChoice", `a call of one of ${tools.length} tools`, toolChoice);
  }
}

function callRules(
  choice: ToolChoice,
  tools: readonly ToolDefinition[],
  { name: form, start, end }: CallFormat,
): CallRules {
  const tags = { start, end };
  const told = tools.map(({ name, parameters }) => ({ name, parameters }));
  if (typeof choice === "object") {
    return { form, tools: told.filter(({ name }) => name === choice.name), tags, calls: "one" };
  }
  return { form, tools: told, tags, calls: choice === "auto" ? "free" : choice };
}

function checkedValue(
  { text, calls, finishReason }: Pick<Result, "text" | "calls" | "finishReason">,
  check: (value: unknown) => string | undefined,
): Pick<Result, "value" | "valueProblem"> {
  if (calls.length > 0) return {};
  const cut =
    finishReason === "length" ? "The answer was cut off before its JSON was complete: raise maxTokens." : "";
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return { valueProblem: cut || "The answer ended before its JSON was complete." };
  }
  // A number may go on where the answer was cut.
  if (cut !== "" && typeof value === "number") return { valueProblem: cut };
  const problem = check(value);
  return problem === undefined
    ? { value }
    : { valueProblem: `The answer's JSON is not of the schema: ${problem}.` };
}

function enginesOf(voice: Voice): Engines {
  let found = engines.get(voice);
  if (!found) {
    found = new Engines(enginesSource(voice));
    engines.set(voice, found);
  }
  return found;
}

/** What the engines read of a model's vocabulary. */
export function enginesSource({
  tokenizer,
  vocabSize,
  stopTokens,
}: Pick<Voice, "tokenizer" | "vocabSize" | "stopTokens">): EnginesSource {
  return {
    vocabSize,
    stopTokens,
    byteCharacters,
    bytes: (token) => (tokenizer.isSpecial(token) ? undefined : tokenizer.idToBytes(token)),
    isFallback: (token) => /^<0x[\dA-Fa-f]{2}>$/.test(tokenizer.idToToken(token) ?? ""),
  };
}
