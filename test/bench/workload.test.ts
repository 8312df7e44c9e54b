import { expect, test } from "vitest";
import { workloadName, workloads, workloadTokens } from "../../src/bench/workload.ts";

test("lists combine by depth, prompts first, batches for generations only, turns last", () => {
  const all = workloads({
    prompts: [512, 1024],
    generations: [128],
    depths: [0, 4096],
    sequences: [1, 8],
    turns: [{ cached: 1024, prompt: 64, generate: 32 }],
  });
  expect(all.map(workloadName)).toEqual([
    "pp512",
    "pp1024",
    "tg128",
    "tg128 b8",
    "pp512 @ d4096",
    "pp1024 @ d4096",
    "tg128 @ d4096",
    "tg128 @ d4096 b8",
    "pp64+tg32 @ c1024",
  ]);
  expect(all.map(workloadTokens)).toEqual([512, 1024, 128, 1024, 512, 1024, 128, 1024, 96]);
});

test("a prompt or generation of 0 is none", () => {
  expect(
    workloads({ prompts: [0], generations: [0, 4], depths: [0], sequences: [1], turns: [] }).map(
      workloadName,
    ),
  ).toEqual(["tg4"]);
});
