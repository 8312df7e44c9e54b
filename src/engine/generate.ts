import type { Constraint } from "../constraint/constraint.ts";
import { ContextOverflowError, OptionError } from "../errors.ts";
import type { NativeSampling, TokenEvent } from "../native/binding.ts";
import { decodeConstrained } from "./constrained.ts";
import { eventStream } from "./event-stream.ts";
import type { Sequence } from "./sequence.ts";

export interface GenerateTokensOptions {
  /** Most tokens to make; must fit with the prompt. Absent: as many as fit. */
  readonly maxTokens?: number | undefined;
  /** A token of these ends the answer. */
  readonly stopTokens: Int32Array;
  readonly sampling: NativeSampling;
  /** What the answer has to be, of so many tokens in the vocabulary. */
  readonly constrained?: { readonly constraint: Constraint; readonly vocabSize: number } | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What happens on the way from prompt to answer; `end` comes last. */
export type TokensEvent =
  /** `done` of `total` prompt tokens are held, `cached` of them from before. */
  | { readonly type: "prefill"; readonly done: number; readonly total: number; readonly cached: number }
  | ({ readonly type: "tokens" } & TokenEvent)
  /** `stop`: the last token was a stop token, or the constraint lets nothing else follow. `length`: maxTokens were made or the sequence is full. */
  | { readonly type: "end"; readonly reason: "stop" | "length" };

/**
 * Makes `sequence` hold `prompt` and yields the tokens that follow it, as they are made.
 *
 * What the sequence holds of the prompt's beginning is kept; from the first difference on it is forgotten. Prefills the
 * rest, at least one token (what any sequence of the model has held of it is shared instead of computed), then reads
 * token events: an event holds one token or several. Leaving the loop early stops the sequence; tokens made by then may
 * be more than were yielded.
 *
 * @throws ContextOverflowError before any work, if prompt + maxTokens (absent: one token) exceeds the capacity.
 * @throws AbortError when `signal` fires.
 */
export async function* generate(
  sequence: Sequence,
  prompt: Int32Array,
  { maxTokens, stopTokens, sampling, constrained, signal }: GenerateTokensOptions,
): AsyncGenerator<TokensEvent, void> {
  const total = prompt.length;
  if (total === 0) throw new OptionError("prompt", "at least one token", prompt);
  if (maxTokens !== undefined && !(Number.isInteger(maxTokens) && maxTokens > 0)) {
    throw new OptionError("maxTokens", "an integer above 0", maxTokens);
  }
  const needed = total + (maxTokens ?? 1);
  if (needed > sequence.capacity) throw new ContextOverflowError(needed, sequence.capacity);

  const held = Math.min(commonPrefix(sequence.tokens(), prompt), total - 1);
  const progress = (done: number, cached: number) =>
    ({ type: "prefill", done: held + done, total, cached: held + cached }) as const;
  sequence.truncate(held);
  yield progress(0, 0);
  yield* eventStream<TokensEvent, void>(
    (emit, signal) =>
      sequence.prefill(prompt.subarray(held), (done, cached) => emit(progress(done, cached)), { signal }),
    signal,
  );

  const decode = { count: maxTokens ?? sequence.capacity - total, stopTokens, sampling };
  const reason = yield* eventStream<TokensEvent, "stop" | "count">((emit, signal) => {
    const onTokens = (event: TokenEvent) => emit({ type: "tokens", ...event });
    if (!constrained) return sequence.decode(decode, onTokens, { signal });
    return decodeConstrained(sequence, { ...decode, ...constrained }, onTokens, { signal });
  }, signal);
  yield { type: "end", reason: reason === "stop" ? "stop" : "length" };
}

/** How many tokens `a` and `b` begin with in common. */
function commonPrefix(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
