import { join } from "node:path";
import { expect } from "vitest";
import { type BenchModel, loadBenchModel } from "../../src/bench/bench-model.ts";
import { leastSeconds } from "../../src/bench/cost.ts";
import { measure } from "../../src/bench/measure.ts";
import { runOf } from "../../src/bench/run.ts";
import type { Workload } from "../../src/bench/workload.ts";
import { addon } from "../../src/native/binding.ts";
import { root, testNeeding } from "../needs.ts";

const testNative = testNeeding([join(root, "build/Release/minicpm.node")], "npm run build:native");

async function withTiny<T>(use: (model: BenchModel) => Promise<T>): Promise<T> {
  const model = await loadBenchModel(join(root, "models/tiny"), { device: "cpu", threads: 1, kvType: "f16" });
  try {
    return await use(model);
  } finally {
    await model.native.dispose();
  }
}

const prompt: Workload = { kind: "prompt", prompt: 70, depth: 100 };
const batch: Workload = { kind: "generate", generate: 4, depth: 100, sequences: 3 };
const turn: Workload = { kind: "turn", cached: 130, prompt: 20, generate: 5 };

testNative("a model's title, size and parameters are those of its files", async () => {
  await withTiny(async ({ title, bytes, parameters }) => {
    expect(title).toBe("tiny BF16");
    expect(bytes).toBe(2 * parameters);
  });
});

testNative("each repetition has its time, rate, limits and share; the warm-up has none", async () => {
  const rounds: number[] = [];
  const measured = await withTiny((model) =>
    measure(model, prompt, { repetitions: 2, onRepetition: (round) => rounds.push(round) }),
  );
  expect(rounds).toEqual([0, 1, 2]);
  expect(measured.repetitions).toHaveLength(2);
  for (const { seconds, tokensPerSecond, limits, share } of measured.repetitions) {
    expect(tokensPerSecond).toBe(70 / seconds);
    expect(share).toBe(leastSeconds(measured.work, limits).seconds / seconds);
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(1.5); // some hundredths here: a model this small is mostly overhead
  }
});

testNative("no prompt is found in the block store, however often it is read", async () => {
  const deep = await withTiny((model) => measure(model, prompt, { repetitions: 2 }));
  const flat = await withTiny((model) => measure(model, { ...prompt, depth: 0 }, { repetitions: 2 }));
  expect([...deep.repetitions, ...flat.repetitions].map(({ cached }) => cached)).toEqual([0, 0, 0, 0]);
});

testNative("a second turn finds all of the first, every time", async () => {
  const { repetitions } = await withTiny((model) => measure(model, turn, { repetitions: 2 }));
  expect(repetitions.map(({ cached }) => cached)).toEqual([130, 130]);
});

testNative("a run of sequences makes one step a token for all together", async () => {
  await withTiny(async (model) => {
    const opsOf = async (sequences: number) => {
      const run = runOf(model, { ...batch, sequences, generate: 4000 });
      await run.prepare(1);
      const before = model.native.opsStarted;
      await run.run();
      run.dispose();
      return model.native.opsStarted - before;
    };
    const one = await opsOf(1);
    expect(one % 4000).toBe(0);
    const three = await opsOf(3);
    expect(three).toBeLessThan(2.5 * one); // late joiners may have steps of their own
  });
});

testNative("an abort ends a measurement and frees its sequences", async () => {
  await withTiny(async (model) => {
    const before = addon().nativeBytes().allocated;
    const controller = new AbortController();
    const long: Workload = { kind: "generate", generate: 100_000, depth: 0, sequences: 2 };
    const measuring = measure(model, long, {
      repetitions: 1,
      signal: controller.signal,
      onRepetition: () => setTimeout(() => controller.abort(), 100),
    });
    await expect(measuring).rejects.toMatchObject({ name: "AbortError" });
    expect(addon().nativeBytes().allocated).toBeLessThanOrEqual(before + 2 ** 20);
  });
});

testNative("the probe refuses what it cannot do, by name", async () => {
  const options = { threads: 1, isa: "baseline", bytes: 1, seconds: 0 };
  const limits = await addon().probe(options);
  expect(limits.bytesPerSecond).toBeGreaterThan(0);
  expect(limits.flopsPerSecond).toBeGreaterThan(0);
  expect(() => addon().probe({ ...options, threads: 0 })).toThrow(/threads must be/);
  expect(() => addon().probe({ ...options, seconds: Number.NaN })).toThrow(/seconds must be/);
  await expect(addon().probe({ ...options, isa: "z80" })).rejects.toMatchObject({ nativeCode: "kDevice" });
});
