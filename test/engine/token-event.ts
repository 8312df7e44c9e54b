import type { NativeSampling, TokenEvent } from "../../src/native/binding.ts";

/** Log-probabilities are made up: token t has -t, the best n tokens are 0, 1, ... */
export function tokenEvent(tokens: readonly number[], { logprobs: count }: NativeSampling): TokenEvent {
  if (count < 0) return { tokens: Int32Array.from(tokens) };
  const top = tokens.flatMap(() => Array.from({ length: count }, (_, rank) => rank));
  return {
    tokens: Int32Array.from(tokens),
    logprobs: Float32Array.from(tokens, (token) => -token),
    topTokens: Int32Array.from(top),
    topLogprobs: Float32Array.from(top, (token) => -token),
  };
}
