/** YaRN (arXiv:2309.00071) as a list of factors, one a pair of dimensions: the form in which LongRoPE is held too. */
import type { RopeNumbers, RopeScaling } from "./config.ts";

export interface Yarn extends RopeNumbers {
  /** How much longer than `originalLength` the context becomes. */
  readonly factor: number;
  /** Tokens that the model was trained on before. */
  readonly originalLength: number;
  /** Pairs that turn at least so often within `originalLength` keep their frequency. */
  readonly betaFast?: number | undefined;
  /** Pairs that turn at most so often are slowed down by the whole factor. */
  readonly betaSlow?: number | undefined;
  /** Multiplies cos and sin: equation 22 by default. */
  readonly magnitude?: number | undefined;
}

/**
 * Both lists are the same, so that no length changes them. The model was made for as many tokens as its file says, or as
 * the factor makes of the original length (Qwen3's keeps the number it had without YaRN).
 */
export function yarnScaling(yarn: Yarn): RopeScaling {
  const { factor, magnitude = 0.1 * Math.log(factor) + 1 } = yarn;
  const factors = Array.from({ length: yarn.headDim / 2 }, (_, pair) => {
    const slowed = slowedShare(yarn, pair);
    return Math.fround(1 / (slowed / factor + 1 - slowed));
  });
  const maxContext = Math.max(yarn.maxContext, Math.floor(factor * yarn.originalLength));
  const lists = { shortFactor: factors, longFactor: factors };
  return { longRope: { ...lists, originalLength: maxContext, magnitude, alwaysLong: false }, maxContext };
}

/** 0 where a pair keeps its frequency, 1 where it is divided by the factor, between them a ramp (equations 17 and 18). */
function slowedShare(
  { headDim, theta, originalLength, betaFast = 32, betaSlow = 1 }: Yarn,
  pair: number,
): number {
  const pairOfTurns = (turns: number) =>
    (headDim * Math.log(originalLength / (2 * Math.PI * turns))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(pairOfTurns(betaFast)), 0);
  const high = Math.min(Math.ceil(pairOfTurns(betaSlow)), headDim - 1);
  return Math.min(1, Math.max(0, (pair - low) / Math.max(high - low, 0.001)));
}
