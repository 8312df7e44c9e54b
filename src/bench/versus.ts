/** Measures engines in turns, round by round, and compares what they reach. */
import { AbortError } from "../errors.ts";
import type { Bound } from "./cost.ts";
import type { Engine, Sample } from "./engine.ts";
import { pairedRatio, type Ratio, unpairedRatio } from "./ratio.ts";
import { median } from "./statistics.ts";
import { type Workload, workloadName } from "./workload.ts";

/** An engine with the weights that it runs. */
export interface Contender {
  /** "minicpm4-0.5b F16". */
  readonly model: string;
  readonly engine: Engine;
  /** Bytes that a token reads of the weights, as the engine holds them. */
  readonly weightBytes: number;
}

/** One way of running a contender: one sample a round. */
export interface Series {
  readonly contender: Contender;
  readonly variant: string;
  readonly samples: readonly Sample[];
}

export interface RoundsOptions {
  /** Rounds that count, at least 1; one more before them warms up. */
  readonly rounds: number;
  readonly signal?: AbortSignal | undefined;
  /** Called before each run; round 0 is the warm-up. */
  readonly onRun?: (contender: Contender, round: number) => void;
}

/**
 * Every variant of every contender once a round, in an order that turns round each time.
 *
 * @returns the series of each contender
 * @throws AbortError, and what engines throw.
 */
export async function measureInTurns(
  contenders: readonly Contender[],
  workload: Workload,
  { rounds, signal, onRun = () => {} }: RoundsOptions,
): Promise<Series[][]> {
  const runs = contenders.flatMap((contender) =>
    contender.engine.about.variants.map((variant, index) => ({
      contender,
      variant,
      index,
      samples: [] as Sample[],
    })),
  );
  for (let round = 0; round <= rounds; ++round) {
    for (const run of round % 2 === 0 ? runs : runs.toReversed()) {
      if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
      onRun(run.contender, round);
      const sample = await run.contender.engine.measure(workload, run.index, round);
      if (round > 0) run.samples.push(sample);
    }
  }
  return contenders.map((each) => runs.filter(({ contender }) => contender === each));
}

/** The variant with the better median: what a user who knows the engine gets. */
export function better(series: readonly Series[]): Series {
  const [best] = series.toSorted((a, b) => median(rates(b)) - median(rates(a)));
  if (!best) throw new RangeError("an engine has at least one variant");
  return best;
}

export interface Comparison {
  readonly workload: Workload;
  readonly ours: Series;
  readonly theirs: Series;
  readonly ratio: Ratio;
  /** Both were measured in the same rounds. */
  readonly inTurns: boolean;
}

export function compare(
  workload: Workload,
  ours: readonly Series[],
  theirs: readonly Series[],
  inTurns: boolean,
): Comparison {
  const [mine, other] = [better(ours), better(theirs)];
  const ratio = (inTurns ? pairedRatio : unpairedRatio)(rates(mine), rates(other));
  return { workload, ours: mine, theirs: other, ratio, inTurns };
}

/** One row of `-o json`: rates are medians in tokens a second, `samples_` one number a round. */
export interface VersusRow {
  /** "pp512 @ d4096". */
  readonly name: string;
  readonly ours: number;
  readonly theirs: number;
  /** ours / theirs, the median over rounds; with the least and the most. */
  readonly ratio: number;
  readonly ratio_min: number;
  readonly ratio_max: number;
  /** Of this machine's limit that ours reaches, 0 to 1, and what the limit is; null where the engine cannot tell. */
  readonly share: number | null;
  readonly bound: Bound | null;
  /** Of the memory bandwidth that theirs reaches by its weights alone; null where memory is not what binds ours. */
  readonly theirs_share: number | null;
  /** Engine and weights in words. */
  readonly ours_is: string;
  readonly theirs_is: string;
  /** The way of running that was the faster one: "flash attention on"; "" where there is but one. */
  readonly ours_variant: string;
  readonly theirs_variant: string;
  readonly in_turns: boolean;
  readonly samples_ours: readonly number[];
  readonly samples_theirs: readonly number[];
}

export function versusRow({ workload, ours, theirs, ratio, inTurns }: Comparison): VersusRow {
  const shares = ours.samples.flatMap(({ share }) => share ?? []);
  const bound = ours.samples.at(-1)?.bound ?? null;
  return {
    name: workloadName(workload),
    ours: median(rates(ours)),
    theirs: median(rates(theirs)),
    ratio: ratio.median,
    ratio_min: ratio.least,
    ratio_max: ratio.most,
    share: shares.length > 0 ? median(shares) : null,
    bound,
    theirs_share: bound === "memory" && inTurns ? bandwidthShare(ours, theirs) : null,
    ours_is: inWords(ours.contender),
    theirs_is: inWords(theirs.contender),
    ours_variant: ours.variant,
    theirs_variant: theirs.variant,
    in_turns: inTurns,
    samples_ours: rates(ours),
    samples_theirs: rates(theirs),
  };
}

/** By the bandwidth that was measured in the same round. */
function bandwidthShare(ours: Series, theirs: Series): number | null {
  const shares = theirs.samples.flatMap((sample, round) => {
    const limits = sample.limits ?? ours.samples[round]?.limits;
    return limits ? (theirs.contender.weightBytes * sample.tokensPerSecond) / limits.bytesPerSecond : [];
  });
  return shares.length > 0 ? median(shares) : null;
}

/** "minicpm4-0.5b BF16 in minicpm, cpu avx512" */
export function inWords({ model, engine: { about } }: Contender): string {
  return [`${model} in ${about.engine}`, about.backend].filter((part) => part !== "").join(", ");
}

function rates({ samples }: Series): number[] {
  return samples.map(({ tokensPerSecond }) => tokensPerSecond);
}
