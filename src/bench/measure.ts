/** Runs a workload over and over, in turns with the probe of the machine's limits. */
import { AbortError } from "../errors.ts";
import { addon, type MachineLimits, type NativeModel, type OpProfile } from "../native/binding.ts";
import { publicError, withPublicErrors } from "../native/error-table.ts";
import type { BenchModel } from "./bench-model.ts";
import { type Bound, leastSeconds, type Work } from "./cost.ts";
import { profiled, type Run, runOf } from "./run.ts";
import { type Workload, workloadTokens } from "./workload.ts";

export interface Repetition {
  readonly seconds: number;
  /** Read and made in this time, all sequences together. */
  readonly tokensPerSecond: number;
  /** Prompt tokens that were held already instead of computed. */
  readonly cached: number;
  /** Measured just before. */
  readonly limits: MachineLimits;
  /** Least seconds at the limits / seconds: 1 is as fast as this machine can be. */
  readonly share: number;
  /** What was read of keys and values beyond memory; absent where all are in memory. */
  readonly spill?: SpillReads | undefined;
}

/** Of one repetition. A head: keys and values of one block of 64 tokens, for one layer and KV head. */
export interface SpillReads {
  /** Heads that were in memory. */
  readonly hits: number;
  /** Heads that were read. */
  readonly misses: number;
  readonly bytes: number;
  /** That the model waited. */
  readonly seconds: number;
}

export interface Measurement {
  readonly workload: Workload;
  readonly work: Work;
  /** What the limits of most repetitions bind it by. */
  readonly bound: Bound;
  readonly repetitions: readonly Repetition[];
  /** Of the last repetition, where it was asked for. */
  readonly ops?: OpProfile;
}

export interface MeasureOptions {
  readonly repetitions: number;
  /** Counts ops by kind. */
  readonly ops?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before each repetition; 0 is the warm-up, which does not count. */
  readonly onRepetition?: (repetition: number) => void;
}

/** What a bandwidth pass reads at most, bytes: far more than the caches hold. */
const mostProbeBytes = 384 * 2 ** 20;
/** Seconds for each of the three probes. */
const probeSeconds = 0.05;

/** @throws AbortError when `signal` fires, OutOfMemoryError. */
export async function measure(
  model: BenchModel,
  workload: Workload,
  { repetitions: count, ops = false, signal, onRepetition = () => {} }: MeasureOptions,
): Promise<Measurement> {
  const run = runOf(model, workload, signal);
  const counted = ops ? profiled(run, model.native) : undefined;
  const repetitions: Repetition[] = [];
  const bounds: Bound[] = [];
  try {
    for (let round = 0; round <= count; ++round) {
      if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
      onRepetition(round);
      const { bound, ...repetition } = await repeat(model, workload, counted?.run ?? run, round);
      if (round === 0) continue;
      bounds.push(bound);
      repetitions.push(repetition);
    }
  } finally {
    run.dispose();
  }
  const memory = bounds.filter((bound) => bound === "memory").length;
  const bound: Bound = 2 * memory >= count ? "memory" : "compute";
  return { workload, work: run.work, bound, repetitions, ...(counted && { ops: counted.profile() }) };
}

/** One round of `run`, made ready before; the limits are measured between the two. */
export async function repeat(
  model: BenchModel,
  workload: Workload,
  run: Run,
  round: number,
): Promise<Repetition & { readonly bound: Bound }> {
  await run.prepare(round);
  const limits = await machineLimits(model);
  const readsSince = spillReads(model.native);
  const start = performance.now();
  const cached = await run.run();
  const seconds = (performance.now() - start) / 1000;
  const spill = readsSince();
  const least = leastSeconds(run.work, limits);
  const tokensPerSecond = workloadTokens(workload) / seconds;
  const share = least.seconds / seconds;
  return { seconds, tokensPerSecond, cached, limits, share, bound: least.bound, spill };
}

/** Gives what is read from now on. */
function spillReads(native: NativeModel): () => SpillReads | undefined {
  const before = native.spillStatus();
  return () => {
    const after = native.spillStatus();
    if (!before || !after) return undefined;
    return {
      hits: after.hits - before.hits,
      misses: after.misses - before.misses,
      bytes: after.bytesRead - before.bytesRead,
      seconds: after.readSeconds - before.readSeconds,
    };
  };
}

/**
 * The limits for this model now, by as many threads and the same instruction set. A model that fits the caches is held
 * against the bandwidth of the caches: the probe reads as many bytes as a token reads weights.
 */
async function machineLimits({ native, cost, limits }: BenchModel): Promise<MachineLimits> {
  if (limits) return limits;
  const bytes = Math.min(cost.linearBytes + cost.headBytes, mostProbeBytes);
  const isa = native.device === "cpu" ? native.isa : "baseline";
  const options = { threads: native.threads, isa, bytes, seconds: probeSeconds };
  return withPublicErrors(() => addon().probe(options)).catch((error) => {
    throw publicError(error);
  });
}
