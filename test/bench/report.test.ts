import { expect, test } from "vitest";
import type { BenchModel } from "../../src/bench/bench-model.ts";
import type { Measurement } from "../../src/bench/measure.ts";
import { csvHeader, csvRow, markdownHeader, markdownRow, rowOf, spillText } from "../../src/bench/report.ts";
import { madeRow } from "./made-row.ts";

test("the table has llama-bench's columns in its order, ours behind them", () => {
  const [titles = "", rule = ""] = markdownHeader();
  const cells = (line: string) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  expect(cells(titles)).toEqual(["model", "size", "params", "backend", "threads", "test", "t/s", "of limit"]);
  expect(cells(rule).map((cell) => cell.endsWith(":"))).toEqual([
    false,
    true,
    true,
    false,
    true,
    true,
    true,
    true,
  ]);
  const row = markdownRow(madeRow);
  expect(row).toHaveLength(titles.length);
  expect(cells(row)).toEqual([
    'made "7" BF16',
    "885.97 MiB",
    "1.54 B",
    "cpu avx512",
    "2",
    "tg128 @ d4096 b8",
    "512.35 ± 2.50",
    "82 % memory",
  ]);
});

test("a bar in a model's name does not end its cell", () => {
  expect(markdownRow({ ...madeRow, model_type: "a|b\nc" })).toMatch(/^\| a b c +\|/);
});

test("CSV has a field for every single value and doubles quotes", () => {
  const names = csvHeader(madeRow).split(",");
  expect(names).toContain("avg_ts");
  expect(names.filter((name) => name.startsWith("samples_"))).toEqual([]);
  const row = csvRow(madeRow);
  expect(row).toMatch(/^"\/models\/a, b","made ""7"" BF16","/);
  expect(row.match(/","/g)).toHaveLength(names.length - 1);
});

test("a row gives means, deviations, the median share and every repetition", () => {
  const limits = { bytesPerSecond: 100, flopsPerSecond: 1000, int8OpsPerSecond: 4000 };
  const repetition = (seconds: number, share: number) => ({
    seconds,
    tokensPerSecond: 8 / seconds,
    cached: 3,
    limits,
    share,
  });
  const measurement: Measurement = {
    workload: { kind: "turn", cached: 64, prompt: 6, generate: 2 },
    work: { bytes: 10, flop: 20 },
    bound: "memory",
    repetitions: [repetition(1, 0.1), repetition(2, 0.05), repetition(4, 0.025)],
  };
  const model = {
    checkpoint: { path: "/m" },
    native: { device: "cpu", isa: "avx2", threads: 2 },
    kvType: "f16",
    title: "m F32",
    bytes: 1,
    parameters: 2,
    processor: "Made CPU",
  } as BenchModel;
  const row = rowOf(model, measurement, new Date("2026-01-02T03:04:05Z"));
  expect(row).toMatchObject({
    test: "pp6+tg2 @ c64",
    backends: "cpu avx2",
    n_prompt: 6,
    n_gen: 2,
    n_depth: 0,
    n_cached: 64,
    n_sequences: 1,
    test_time: "2026-01-02T03:04:05.000Z",
    avg_ns: Math.round(7e9 / 3),
    avg_ts: (8 + 4 + 2) / 3,
    share: 0.05,
    samples_ns: [1e9, 2e9, 4e9],
    samples_ts: [8, 4, 2],
    samples_cached: [3, 3, 3],
  });
  expect(row.stddev_ts).toBeCloseTo(Math.sqrt(28 / 3), 12);
  expect(Object.keys(row)).toEqual(Object.keys(madeRow));
});

test("a row with a spill says what the disk had to do, one without says nothing", () => {
  expect(spillText(madeRow)).toBeUndefined();
  const row = {
    ...madeRow,
    samples_spill_hits: [900, 700],
    samples_spill_misses: [100, 300],
    samples_spill_bytes: [2 ** 20, 3 * 2 ** 20],
    samples_spill_ns: [2e8, 4e8],
  };
  expect(spillText(row)).toBe(
    "tg128 @ d4096 b8: 200 of 1000 reads of a block's keys and values came from disk (2.00 MiB a run), 15 % of the time.",
  );
});
