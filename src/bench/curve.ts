/** Prefill and decode speed over the length of the context: each engine's line of points, measured or fitted. */
import { AbortError } from "../errors.ts";
import type { KvType, OpProfile } from "../native/binding.ts";
import { affineFit } from "./curve-fit.ts";
import type { Engine, EngineSpec, Sample } from "./engine.ts";
import { median } from "./statistics.ts";
import type { Workload } from "./workload.ts";

const curveTests = ["prefill", "decode"] as const;
export type CurveTest = (typeof curveTests)[number];

/** One way of running one model. */
export interface CurveLine {
  /** "minicpm4-0.5b w4 g128 a8" */
  readonly model: string;
  readonly engine: "minicpm" | "llama.cpp";
  readonly attention: "dense" | "sparse";
  readonly kvType: KvType;
  /** Tokens from which on attention is sparse. */
  readonly sparseFrom?: number | undefined;
  /** Lengths beyond it are not measured. */
  readonly most: number;
  readonly spec: (threads: number) => EngineSpec;
  /** Bytes of weights, keys and values for so many tokens; absent: the engine says it. */
  readonly memoryBytes?: (length: number) => number;
}

/** One line of the JSON lines file. */
export interface CurvePoint {
  readonly model: string;
  readonly engine: string;
  readonly attention: "dense" | "sparse";
  readonly kv_type: KvType;
  /** Tokens from which on attention is sparse: points on the two sides have no fit in common. */
  readonly sparse_from: number | null;
  readonly test: CurveTest;
  /** Tokens held at the end of the prefill, and before the decode. */
  readonly length: number;
  /** Of `prompt` tokens that end at `length`, and of tokens made behind them. */
  readonly tokens_per_second: number;
  /** Not measured: by the affine fit of this line's measured points. */
  readonly fitted: boolean;
  /** The way of running that was the faster one; "" where there is but one. */
  readonly variant: string;
  /** Tokens a second, one number a round; none where fitted. */
  readonly samples: readonly number[];
  /** Weights, keys, values, pooled keys and activations for so many tokens: as planned. */
  readonly memory_bytes: number | null;
  /** What the process held in the end, mapped files with it. */
  readonly process_bytes: number | null;
  /** Seconds by kind of op in the last round, and bytes that they read; where the engine counts. */
  readonly profile: OpProfile | null;
  /** Weights, keys, values and pooled keys that have to be read at least, in the last round. */
  readonly least_bytes: number | null;
  readonly cpu: string;
  readonly threads: number;
  /** ISO 8601. */
  readonly time: string;
}

export interface CurveOptions {
  readonly lengths: readonly number[];
  /** Tokens of a prompt piece, and made. */
  readonly prompt: number;
  readonly generate: number;
  /** That count; one more warms up. */
  readonly rounds: number;
  /** Seconds for a line and test; what a longer length would take beyond is fitted. */
  readonly budget: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep: (what: string) => void;
  readonly onPoint: (point: CurvePoint) => void;
}

/** An engine with what its process holds, where it has one of its own. */
export type CurveEngine = Engine & { readonly memoryBytes?: number };

/**
 * Measures what `known` lacks of a line, from the shortest length on, as far as the budget goes.
 *
 * @throws AbortError when `signal` fires, and what engines throw but OutOfMemoryError, which ends a test's lengths.
 */
export async function measureLine(
  line: CurveLine,
  engine: CurveEngine,
  known: readonly CurvePoint[],
  options: CurveOptions,
): Promise<void> {
  const spent = { prefill: 0, decode: 0 };
  const last: Partial<Record<CurveTest, { readonly length: number; readonly seconds: number }>> = {};
  const ended = new Set<CurveTest>();
  for (const length of options.lengths.filter((each) => each <= line.most)) {
    for (const test of curveTests) {
      if (ended.has(test) || isKnown(known, line, test, length)) continue;
      const expected = last[test] ? (last[test].seconds * length) / last[test].length : 0;
      if (spent[test] + expected > options.budget) {
        ended.add(test);
        continue;
      }
      const start = performance.now();
      const point = await measurePoint(line, engine, test, length, options);
      if (!point) ended.add(test);
      else options.onPoint(point);
      const seconds = (performance.now() - start) / 1000;
      spent[test] += seconds;
      last[test] = { length, seconds };
    }
  }
}

/** Fewer points tell no slope from noise. */
const leastMeasured = 3;

/** Lines of the points, in the order in which they come first. */
export function linesOf(points: readonly CurvePoint[]): CurvePoint[][] {
  const lines = new Map<string, CurvePoint[]>();
  for (const point of points) lines.set(lineName(point), [...(lines.get(lineName(point)) ?? []), point]);
  return [...lines.values()].map((line) => line.toSorted((a, b) => a.length - b.length));
}

/** Points at `lengths` that the measured ones lack, where some with the same attention tell what they would be. */
export function fittedPoints(measured: readonly CurvePoint[], lengths: readonly number[]): CurvePoint[] {
  return linesOf(measured).flatMap((line) =>
    curveTests.flatMap((test) => {
      const mine = line.filter((point) => point.test === test);
      const missing = lengths.filter((length) => mine.every((point) => point.length !== length));
      return missing.flatMap((length) => fittedPoint(mine, length) ?? []);
    }),
  );
}

function fittedPoint(line: readonly CurvePoint[], length: number): CurvePoint | undefined {
  const alike = line.filter((point) => isSparse(point, point.length) === isSparse(point, length));
  const [like] = alike;
  if (alike.length < leastMeasured) return undefined;
  const seconds = affineFit(alike.map((point) => ({ x: point.length, y: 1 / point.tokens_per_second })));
  if (!like || !seconds) return undefined;
  const memory = affineFit(alike.flatMap(({ length: x, memory_bytes: y }) => (y === null ? [] : { x, y })));
  return {
    ...like,
    length,
    tokens_per_second: 1 / seconds(length),
    fitted: true,
    variant: "",
    samples: [],
    memory_bytes: memory ? Math.round(memory(length)) : null,
    process_bytes: null,
    profile: null,
    least_bytes: null,
  };
}

function isKnown(known: readonly CurvePoint[], line: CurveLine, test: CurveTest, length: number): boolean {
  const name = lineName({ ...line, kv_type: line.kvType });
  return known.some(
    (point) => lineName(point) === name && point.test === test && point.length === length && !point.fitted,
  );
}

function isSparse({ sparse_from: from }: CurvePoint, length: number): boolean {
  return from !== null && length > from;
}

/** @returns undefined where there is no memory for so many tokens */
async function measurePoint(
  line: CurveLine,
  engine: CurveEngine,
  test: CurveTest,
  length: number,
  { prompt, generate, rounds, signal, onStep }: CurveOptions,
): Promise<CurvePoint | undefined> {
  const piece = Math.min(prompt, length);
  const workload: Workload =
    test === "prefill"
      ? { kind: "prompt", prompt: piece, depth: length - piece }
      : { kind: "generate", generate, depth: length, sequences: 1 };
  let best:
    | { readonly variant: string; readonly samples: readonly Sample[]; readonly rate: number }
    | undefined;
  try {
    for (const [index, variant] of engine.about.variants.entries()) {
      const samples: Sample[] = [];
      for (let round = 0; round <= rounds; ++round) {
        if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
        onStep(
          `${lineName({ ...line, kv_type: line.kvType })}: ${test} at ${length} tokens, ${round || "warm-up"} of ${rounds}`,
        );
        const sample = await engine.measure(workload, index, round);
        if (round > 0) samples.push(sample);
      }
      const rate = median(samples.map(({ tokensPerSecond }) => tokensPerSecond));
      if (!best || rate > best.rate) best = { variant, samples, rate };
    }
  } catch (error) {
    if ((error as { readonly code?: string }).code === "OUT_OF_MEMORY") return undefined;
    throw error;
  }
  const { variant = "", samples = [], rate = Number.NaN } = best ?? {};
  const sample = samples.at(-1);
  return {
    model: line.model,
    engine: line.engine,
    attention: line.attention,
    kv_type: line.kvType,
    sparse_from: line.sparseFrom ?? null,
    test,
    length,
    tokens_per_second: rate,
    fitted: false,
    variant,
    samples: samples.map(({ tokensPerSecond }) => tokensPerSecond),
    memory_bytes: sample?.plannedBytes ?? line.memoryBytes?.(length) ?? null,
    process_bytes: engine.memoryBytes ?? null,
    profile: sample?.profile ?? null,
    least_bytes: sample?.leastBytes ?? null,
    cpu: engine.about.processor ?? "",
    threads: engine.about.threads,
    time: new Date().toISOString(),
  };
}

/** "minicpm4-0.5b w4 g128 a8, sparse, KV int8"; other engines say their name. */
export function lineName(line: Pick<CurvePoint, "model" | "engine" | "attention" | "kv_type">): string {
  const how = line.engine === "minicpm" ? `, ${line.attention}` : ` in ${line.engine}`;
  return `${line.model}${how}, KV ${line.kv_type}`;
}
