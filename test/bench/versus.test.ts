import { expect, test } from "vitest";
import { better, compare, measureInTurns, versusRow } from "../../src/bench/versus.ts";
import type { Workload } from "../../src/bench/workload.ts";
import { type ScriptedRun, scriptedContender } from "./scripted-engine.ts";

const workload: Workload = { kind: "generate", generate: 8, depth: 4096, sequences: 1 };

test("every variant runs once a round, after a warm-up, in an order that turns round", async () => {
  const log: ScriptedRun[] = [];
  const ours = scriptedContender("ours", { "": [1, 2] }, log);
  const theirs = scriptedContender("theirs", { on: [3, 4], off: [5, 6] }, log);
  const series = await measureInTurns([ours, theirs], workload, { rounds: 2 });
  expect(log.map(({ engine, variant, round }) => `${round} ${engine} ${variant}`)).toEqual([
    "0 ours 0",
    "0 theirs 0",
    "0 theirs 1",
    "1 theirs 1",
    "1 theirs 0",
    "1 ours 0",
    "2 ours 0",
    "2 theirs 0",
    "2 theirs 1",
  ]);
  const rates = series.map((each) =>
    each.map(({ samples }) => samples.map((sample) => sample.tokensPerSecond)),
  );
  expect(rates).toEqual([
    [[1, 2]],
    [
      [3, 4],
      [5, 6],
    ],
  ]);
});

test("the variant with the better median counts, not the one with the best run", async () => {
  const theirs = scriptedContender("theirs", { on: [10, 10, 99], off: [11, 11, 12] });
  const [series = []] = await measureInTurns([theirs], workload, { rounds: 3 });
  expect(better(series).variant).toBe("off");
});

test("a row has medians, the ratio with its spread, and the share of the limit", async () => {
  const limits = { bytesPerSecond: 1000, flopsPerSecond: 1, int8OpsPerSecond: 1 };
  const own = { share: 0.8, bound: "memory", limits } as const;
  const ours = scriptedContender("ours", { "": [30, 20, 40] }, [], own);
  const theirs = scriptedContender("theirs", { on: [10, 10, 10], off: [1, 1, 1] });
  const [mine = [], other = []] = await measureInTurns([ours, theirs], workload, { rounds: 3 });
  expect(versusRow(compare(workload, mine, other, true))).toEqual({
    name: "tg8 @ d4096",
    ours: 30,
    theirs: 10,
    ratio: 3,
    ratio_min: 2,
    ratio_max: 4,
    share: 0.8,
    bound: "memory",
    theirs_share: (50 * 10) / 1000,
    ours_is: "weights of ours in ours, made",
    theirs_is: "weights of theirs in theirs, made",
    ours_variant: "",
    theirs_variant: "on",
    in_turns: true,
    samples_ours: [30, 20, 40],
    samples_theirs: [10, 10, 10],
  });
});

test("no share is told where none was measured or memory is not the limit", async () => {
  const plain = scriptedContender("plain", { "": [1] });
  const bound = {
    share: 0.5,
    bound: "compute",
    limits: { bytesPerSecond: 1, flopsPerSecond: 1, int8OpsPerSecond: 1 },
  } as const;
  const computing = scriptedContender("computing", { "": [1] }, [], bound);
  const [a = [], b = []] = await measureInTurns([plain, computing], workload, { rounds: 1 });
  expect(versusRow(compare(workload, a, b, true))).toMatchObject({
    share: null,
    bound: null,
    theirs_share: null,
  });
  expect(versusRow(compare(workload, b, a, true))).toMatchObject({ share: 0.5, theirs_share: null });
});

test("an abort ends it before the next run", async () => {
  const controller = new AbortController();
  const log: ScriptedRun[] = [];
  const measuring = measureInTurns([scriptedContender("ours", { "": [1] }, log)], workload, {
    rounds: 1,
    signal: controller.signal,
    onRun: (_, round) => round === 0 && controller.abort(),
  });
  await expect(measuring).rejects.toMatchObject({ name: "AbortError" });
  expect(log).toHaveLength(1);
});
