import { expect, test } from "vitest";
import type { VersusRow } from "../../src/bench/versus.ts";
import { type VersusReport, versusChart, versusMarkdown } from "../../src/bench/versus-report.ts";

const row: VersusRow = {
  name: "pp512",
  ours: 222.17,
  theirs: 100.77,
  ratio: 2.19,
  ratio_min: 2.14,
  ratio_max: 2.26,
  share: 0.71,
  bound: "compute",
  theirs_share: null,
  ours_is: "m BF16 in minicpm, cpu avx512",
  theirs_is: "m F16 in llama.cpp",
  ours_variant: "",
  theirs_variant: "flash attention on",
  in_turns: true,
  samples_ours: [222.17],
  samples_theirs: [100.77],
};
const report: VersusReport = {
  cpu: "Made CPU",
  threads: 2,
  scheduling: "SCHED_RR 1",
  scheduling_is: "real-time round robin",
  rounds: 5,
  time: "2026-01-02T03:04:05.000Z",
  engines: [{ is: row.ours_is, load_seconds: 0.081, memory_bytes: 1.5 * 2 ** 30 }],
  notes: ["Random weights."],
  rows: [row, { ...row, name: "tg64", ratio: 1.1, share: 0.78, bound: "memory", theirs_share: 0.69 }],
};

test("the table says what holds for all, who the sides are, and a line a test", () => {
  expect(versusMarkdown(report)).toEqual([
    "Made CPU, 2 threads, real-time round robin (SCHED_RR 1), median of 5 rounds",
    "Random weights.",
    "",
    "ours: m BF16 in minicpm, cpu avx512 (loaded in 0.08 s, 1.50 GiB)  ",
    "theirs: m F16 in llama.cpp",
    "",
    "| test  | ours t/s | theirs t/s | ratio |   min - max | ours of limit | theirs of limit | theirs with        |",
    "| ----- | -------: | ---------: | ----: | ----------: | ------------: | --------------: | ------------------ |",
    "| pp512 |   222.17 |     100.77 | 2.19x | 2.14 - 2.26 |  71 % compute |                 | flash attention on |",
    "| tg64  |   222.17 |     100.77 | 1.10x | 2.14 - 2.26 |   78 % memory |            69 % | flash attention on |",
  ]);
});

test("other sides have a table of their own", () => {
  const models = { ...row, theirs_is: "other BF16 in minicpm, cpu avx512", theirs_variant: "" };
  // Columns without anything in them are left out.
  const lines = versusMarkdown({ ...report, rows: [row, models] });
  expect(lines.filter((line) => line.startsWith("theirs: "))).toEqual([
    "theirs: m F16 in llama.cpp",
    "theirs: other BF16 in minicpm, cpu avx512",
  ]);
  const widths = lines.filter((line) => line.startsWith("| pp512")).map((line) => line.split("|").length - 2);
  expect(widths).toEqual([7, 6]);
});

test("the chart has every test with both rates", () => {
  const svg = versusChart(report);
  for (const text of ["pp512", "tg64", "222.2 t/s, 2.19x", "222.2 t/s, 1.10x", "100.8 t/s", "Made CPU"]) {
    expect(svg).toContain(text);
  }
});

test("rows of several pairs carry the number of their pair in the chart", () => {
  const svg = versusChart({ ...report, rows: [row, { ...row, theirs_is: "another" }] });
  for (const text of ["1: pp512", "2: pp512", "2: theirs: another"]) expect(svg).toContain(text);
  expect(versusChart(report)).not.toContain("1: pp512");
});
