/** Measurements as text: llama-bench's table, and its fields as JSON, JSON lines and CSV with ours beside them. */
import type { OpProfile } from "../native/binding.ts";
import type { BenchModel } from "./bench-model.ts";
import type { Measurement } from "./measure.ts";
import { deviation, mean, median } from "./statistics.ts";
import { workloadName } from "./workload.ts";

/**
 * One measurement. Names that llama-bench has mean the same here; rates are tokens a second, `_ns` nanoseconds,
 * `samples_` one number a repetition.
 */
export interface Row {
  readonly model_filename: string;
  readonly model_type: string;
  /** Bytes of the weights in their files. */
  readonly model_size: number;
  readonly model_n_params: number;
  readonly cpu_info: string;
  /** Device and instruction set: "cpu avx512". */
  readonly backends: string;
  readonly n_threads: number;
  readonly type_k: string;
  readonly type_v: string;
  readonly test: string;
  readonly n_prompt: number;
  readonly n_gen: number;
  readonly n_depth: number;
  /** Tokens of the turn before; 0 where there is none. */
  readonly n_cached: number;
  /** Sequences in the step loop; rates are of all together. */
  readonly n_sequences: number;
  /** When it was done, ISO 8601. */
  readonly test_time: string;
  readonly avg_ns: number;
  readonly stddev_ns: number;
  readonly avg_ts: number;
  readonly stddev_ts: number;
  /** What has to be read and computed at least: bytes, operations of float32 and of int8. */
  readonly work_bytes: number;
  readonly work_flop: number;
  readonly work_int8_op: number;
  /** What this machine's limits bind it by. */
  readonly bound: Measurement["bound"];
  /** Median of `samples_share`. */
  readonly share: number;
  /** Time and bytes by kind of op in the last repetition, where it was asked for. */
  readonly ops?: OpProfile;
  readonly samples_ns: readonly number[];
  readonly samples_ts: readonly number[];
  /** Prompt tokens that were held already. */
  readonly samples_cached: readonly number[];
  /** The limits, measured before each repetition. */
  readonly samples_bytes_per_second: readonly number[];
  readonly samples_flops_per_second: readonly number[];
  readonly samples_int8_ops_per_second: readonly number[];
  /** Time at the limits / time taken. */
  readonly samples_share: readonly number[];
  /** With keys and values beyond memory: heads found there and read, bytes read, and how long the model waited for them. */
  readonly samples_spill_hits?: readonly number[];
  readonly samples_spill_misses?: readonly number[];
  readonly samples_spill_bytes?: readonly number[];
  readonly samples_spill_ns?: readonly number[];
}

export function rowOf(model: BenchModel, measurement: Measurement, time: Date): Row {
  const { native, checkpoint, kvType } = model;
  const { workload, work, bound, repetitions, ops } = measurement;
  const nanoseconds = repetitions.map(({ seconds }) => Math.round(1e9 * seconds));
  const rates = repetitions.map(({ tokensPerSecond }) => tokensPerSecond);
  const shares = repetitions.map(({ share }) => share);
  const reads = repetitions.flatMap(({ spill }) => spill ?? []);
  return {
    model_filename: checkpoint.path,
    model_type: model.title,
    model_size: model.bytes,
    model_n_params: model.parameters,
    cpu_info: model.processor,
    backends: `${native.device} ${native.isa}`,
    n_threads: native.threads,
    type_k: kvType,
    type_v: kvType,
    test: workloadName(workload),
    n_prompt: "prompt" in workload ? workload.prompt : 0,
    n_gen: "generate" in workload ? workload.generate : 0,
    n_depth: "depth" in workload ? workload.depth : 0,
    n_cached: workload.kind === "turn" ? workload.cached : 0,
    n_sequences: workload.kind === "generate" ? workload.sequences : 1,
    test_time: time.toISOString(),
    avg_ns: Math.round(mean(nanoseconds)),
    stddev_ns: Math.round(deviation(nanoseconds)),
    avg_ts: mean(rates),
    stddev_ts: deviation(rates),
    work_bytes: work.bytes,
    work_flop: work.flop,
    work_int8_op: work.int8Op ?? 0,
    bound,
    share: median(shares),
    ...(ops && { ops }),
    samples_ns: nanoseconds,
    samples_ts: rates,
    samples_cached: repetitions.map(({ cached }) => cached),
    samples_bytes_per_second: repetitions.map(({ limits }) => limits.bytesPerSecond),
    samples_flops_per_second: repetitions.map(({ limits }) => limits.flopsPerSecond),
    samples_int8_ops_per_second: repetitions.map(({ limits }) => limits.int8OpsPerSecond),
    samples_share: shares,
    ...(reads.length > 0 && {
      samples_spill_hits: reads.map(({ hits }) => hits),
      samples_spill_misses: reads.map(({ misses }) => misses),
      samples_spill_bytes: reads.map(({ bytes }) => bytes),
      samples_spill_ns: reads.map(({ seconds }) => Math.round(1e9 * seconds)),
    }),
  };
}

/** What the disk had to do with a row, as a sentence; undefined where all keys and values are in memory. */
export function spillText(row: Row): string | undefined {
  const { samples_spill_hits: hits, samples_spill_misses: misses, samples_spill_bytes: bytes } = row;
  if (!hits || !misses || !bytes || !row.samples_spill_ns) return undefined;
  const read = mean(misses);
  const asked = read + mean(hits);
  const waited = mean(row.samples_spill_ns) / row.avg_ns;
  return (
    `${row.test}: ${read.toFixed(0)} of ${asked.toFixed(0)} reads of a block's keys and values came from disk ` +
    `(${sizeText(mean(bytes))} a run), ${(100 * waited).toFixed(0)} % of the time.`
  );
}

const columns: readonly {
  readonly title: string;
  readonly width: number;
  readonly left?: true;
  readonly cell: (row: Row) => string;
}[] = [
  { title: "model", width: 30, left: true, cell: ({ model_type }) => model_type.replace(/[|\s]+/g, " ") },
  { title: "size", width: 10, cell: ({ model_size }) => sizeText(model_size) },
  { title: "params", width: 10, cell: ({ model_n_params }) => countText(model_n_params) },
  { title: "backend", width: 10, left: true, cell: ({ backends }) => backends },
  { title: "threads", width: 7, cell: ({ n_threads }) => String(n_threads) },
  { title: "test", width: 18, cell: ({ test }) => test },
  {
    title: "t/s",
    width: 18,
    cell: ({ avg_ts, stddev_ts }) => `${avg_ts.toFixed(2)} ± ${stddev_ts.toFixed(2)}`,
  },
  { title: "of limit", width: 12, cell: ({ share, bound }) => `${(100 * share).toFixed(0)} % ${bound}` },
];

/** llama-bench's columns, and behind them the share of this machine's limit. */
export function markdownHeader(): string[] {
  return [
    line(columns.map(({ title, width, left }) => (left ? title.padEnd(width) : title.padStart(width)))),
    line(columns.map(({ width, left }) => (left ? "-".repeat(width) : `${"-".repeat(width - 1)}:`))),
  ];
}

export function markdownRow(row: Row): string {
  return line(
    columns.map(({ cell, width, left }) => (left ? cell(row).padEnd(width) : cell(row).padStart(width))),
  );
}

/** Fields with one value each: CSV has no lists and objects. */
const csvFields = (row: Row) => Object.entries(row).filter(([, value]) => typeof value !== "object");

/** A test's name, and below it a line for each kind of op that ran: its share of the ops' time, and what it read. */
export function opLines({ test, ops }: Row): string[] {
  if (!ops) return [];
  const ran = Object.entries(ops).filter(([, { calls }]) => calls > 0);
  const all = ran.reduce((sum, [, { seconds }]) => sum + seconds, 0);
  const lines = ran.map(([kind, { calls, seconds, bytes }]) => {
    const share = `${((100 * seconds) / all).toFixed(1)} %`;
    const rate = bytes > 0 ? `${sizeText(bytes)} at ${(bytes / seconds / 1e9).toFixed(1)} GB/s` : "";
    return `  ${kind.padEnd(14)} ${share.padStart(7)}  ${String(calls).padStart(8)} calls  ${rate}`.trimEnd();
  });
  return ["", test, ...lines];
}

export function csvHeader(row: Row): string {
  return csvFields(row)
    .map(([name]) => name)
    .join(",");
}

export function csvRow(row: Row): string {
  return csvFields(row)
    .map(([, value]) => `"${String(value).replace(/"/g, '""')}"`)
    .join(",");
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function sizeText(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(2)} MiB`;
}

function countText(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} B` : `${(count / 1e6).toFixed(2)} M`;
}
