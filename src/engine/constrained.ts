import { type Constraint, maskWords } from "../constraint/constraint.ts";
import { ConstraintError } from "../errors.ts";
import type { DecodeOptions, TokenEvent } from "../native/binding.ts";
import type { RunOptions, Sequence } from "./sequence.ts";

export interface ConstrainedOptions extends DecodeOptions {
  /** Has taken nothing of the answer yet; takes every token of it. */
  readonly constraint: Constraint;
  readonly vocabSize: number;
}

/**
 * Makes tokens that `constraint` takes, until `count`, a stop token, or until nothing else can follow.
 *
 * Each is the free winner where the constraint takes it, else the winner under the mask: the token that masking first
 * would give, unless top-k, top-p or min-p leave out what the mask allows. No mask is made for the free winners. The noise
 * belongs to (seed, position, token), so that the second look draws no other.
 *
 * @throws ConstraintError where no token may follow; AbortError when `signal` fires.
 */
export async function decodeConstrained(
  sequence: Sequence,
  { count, stopTokens, sampling, constraint, vocabSize }: ConstrainedOptions,
  onTokens: (event: TokenEvent) => void,
  options: RunOptions = {},
): Promise<"stop" | "count"> {
  const mask = new Uint32Array(maskWords(vocabSize));
  for (let made = 0; made < count; made++) {
    if (constraint.isDone) return "stop";
    if (made > 0) await sequence.step(options);
    let event = await sequence.sample(sampling, undefined, options);
    if (!constraint.accept(event.tokens[0] as number)) {
      await constraint.fill(mask);
      if (mask.every((word) => word === 0)) {
        throw new ConstraintError("schema or grammar", "what the model has begun cannot be completed");
      }
      event = await sequence.sample(sampling, mask, options);
      constraint.accept(event.tokens[0] as number);
    }
    onTokens(event);
    if (stopTokens.includes(event.tokens[0] as number)) return "stop";
  }
  return constraint.isDone ? "stop" : "count";
}
