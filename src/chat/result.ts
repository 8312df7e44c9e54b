import type { ToolRun } from "../tools/make-call.ts";
import type { JsonValue, ToolCall } from "../tools/tool.ts";
import type { MalformedCall } from "./python-calls.ts";

/**
 * Why an answer ended. `stop`: the model ended it, or a stop text came up. `calls`: so too, and it has `calls` that wait
 * for their results. `length`: maxTokens were made, or the context is full. `aborted`: only in an AbortError's
 * `partial`.
 */
export type FinishReason = "stop" | "calls" | "length" | "aborted";

/** Tokens of one answer. */
export interface Usage {
  /** Tokens of the whole prompt. */
  readonly prompt: number;
  /** Those of `prompt` whose keys and values were held already. */
  readonly cached: number;
  /** Tokens made: `Result.tokens` and the end-of-sequence token, if one came. */
  readonly completion: number;
}

/** Speed and memory of one answer. Rates are 0 where nothing was measured. */
export interface Stats {
  /** Milliseconds that loading the model took. */
  readonly loadMs: number;
  /** Milliseconds from the start of the run (not from its place in the queue) to the first token. */
  readonly ttftMs: number;
  /** Prompt tokens run a second, cached ones left out. */
  readonly prefillTps: number;
  /** Tokens made a second, after the first. */
  readonly decodeTps: number;
  /** Most memory this process ever had resident, in bytes. */
  readonly peakBytes: number;
}

export interface TokenLogprob {
  readonly token: number;
  /** Natural log-probability under the model, before any processor. */
  readonly logprob: number;
  /** The best tokens, best first: as many as asked. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/** An answer that called, and what came of its calls. */
export interface ToolStep {
  readonly result: Result;
  /** In the calls' order. */
  readonly runs: readonly ToolRun[];
}

/** An answer. */
export interface Result {
  /** The answer without its thinking, calls, stop text and special tokens. */
  readonly text: string;
  /** What the model thought before it answered, if it did. */
  readonly thinking?: string;
  /** What the model calls, in its order, and what was not made here: see `steps` for calls that were. */
  readonly calls: readonly ToolCall[];
  /** What stands where a call should be and is none, with the reason; it is in `text` too. Absent without any. */
  readonly malformedCalls?: readonly MalformedCall[];
  /** The answers before this one and the calls they made, where the tool loop made any. All else is of the last answer. */
  readonly steps?: readonly ToolStep[];
  /** What the answer says, where it was to be of a schema and is: parsed, and checked against the schema. */
  readonly value?: JsonValue;
  /** Why there is no `value` although a schema was given, as a sentence: the answer was cut off, mostly. */
  readonly valueProblem?: string;
  /** The answer's tokens, thinking included, end-of-sequence token left out. */
  readonly tokens: Int32Array;
  readonly finishReason: FinishReason;
  /** The seed that was used: the same seed, prompt and options give the same answer. */
  readonly seed: number | bigint;
  /** One entry for each of `tokens`, where asked for. */
  readonly logprobs?: readonly TokenLogprob[];
  readonly usage: Usage;
  readonly stats: Stats;
}
