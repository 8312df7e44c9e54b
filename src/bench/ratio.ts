/** How many times as fast one series of rates is as another. */
import { median } from "./statistics.ts";

export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/**
 * Of rates that were measured in turns: the ratio of each round by itself, so that what slows the machine down for a while
 * slows both.
 *
 * @param ours one rate a round, at least one; as many of `theirs`
 */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): Ratio {
  const ratios = ours.map((rate, round) => rate / (theirs[round] as number));
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

/** Of rates that were measured one series after the other: the medians' ratio, between the worst and the best case. */
export function unpairedRatio(ours: readonly number[], theirs: readonly number[]): Ratio {
  return {
    median: median(ours) / median(theirs),
    least: Math.min(...ours) / Math.max(...theirs),
    most: Math.max(...ours) / Math.min(...theirs),
  };
}
