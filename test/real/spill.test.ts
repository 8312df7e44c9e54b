/** Keys and values beyond memory: nano at twice the tokens that its memory holds, bit by bit as without. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { seededPrompt } from "../../src/bench/seeded-checkpoint.ts";
import { loadModel, OutOfMemoryError } from "../../src/index.ts";
import type { NativeModel } from "../../src/native/binding.ts";
import { addon } from "../../src/native/binding.ts";
import { testNative } from "../cli/cli-process.ts";
import { scratchFolder } from "../scratch-folder.ts";
import {
  bitsOf,
  decode,
  planOf,
  prefillIn,
  type RunOptions,
  withModel,
  withSequence,
} from "./native-model.ts";

const folder = scratchFolder();
const capacity = 3648;
const tokens = seededPrompt({ vocab_size: 2048 }, 8, 3522); // 56 blocks
const other = seededPrompt({ vocab_size: 2048 }, 9, 1500);

/** Memory for as many blocks of 64 tokens: nano attends to 28 at most. */
function spillOf(blocks: number, options: RunOptions): RunOptions {
  const { kv } = addon().memoryPlan(planOf("nano", options), { capacity: 64, sequences: 1 });
  return { ...options, spill: { path: join(folder, "spill"), bytes: blocks * kv } };
}

async function prefilled(model: NativeModel) {
  return withSequence(model, capacity, async (sequence) => {
    await prefillIn(sequence, tokens, 700);
    const logits = bitsOf(sequence.logits());
    return { logits, answer: await decode(sequence, 70) };
  });
}

testNative.each(["f16", "int8"] as const)(
  "with half of %s keys and values on disk: the same bits",
  async (kvType) => {
    const options = { kvType, threads: 2 };
    const expected = await withModel("nano", options, prefilled);
    await withModel("nano", spillOf(28, options), async (model) => {
      expect(await prefilled(model)).toEqual(expected);
      const status = model.spillStatus();
      expect(status).toMatchObject({ folder: join(folder, "spill"), problem: "" });
      expect(status?.misses).toBeGreaterThan(0);
      expect(status?.bytesRead).toBeGreaterThan(0);
      expect(readdirSync(join(folder, "spill"))).toEqual([]); // its file has no name
    });
  },
);

testNative("forks and cut sequences whose blocks are on disk go on with the same bits", async () => {
  const run = (model: NativeModel) =>
    withSequence(model, capacity, async (sequence) => {
      await prefillIn(sequence, tokens, 3522);
      const fork = sequence.fork();
      sequence.truncate(900);
      await sequence.prefill(other.subarray(0, 700));
      const [cut, whole] = await Promise.all([decode(sequence, 20), decode(fork, 20)]);
      const logits = bitsOf(fork.logits());
      fork.dispose();
      return { cut, whole, logits };
    });
  const expected = await withModel("nano", { kvType: "f16" }, run);
  await withModel("nano", spillOf(28, { kvType: "f16" }), async (model) => {
    expect(await run(model)).toEqual(expected);
  });
});

testNative("a sequence whose blocks are on disk is saved, and goes on without a spill", async () => {
  const saved = join(folder, "saved");
  mkdirSync(saved);
  const options = { kvType: "f16", cacheBytes: 0 } as const;
  const expected = await withModel("nano", options, prefilled);
  await withModel("nano", spillOf(28, options), (model) =>
    withSequence(model, capacity, async (sequence) => {
      await prefillIn(sequence, tokens, 3522);
      await sequence.save(saved);
    }),
  );
  for (const how of [options, spillOf(28, options)]) {
    await withModel("nano", how, (model) =>
      withSequence(model, capacity, async (sequence) => {
        let held = 0;
        await sequence.prefill(tokens, (_, cached) => (held = cached), saved);
        expect(held).toBe(3520);
        expect(bitsOf(sequence.logits())).toEqual(expected.logits);
      }),
    );
  }
});

testNative(
  "loadModel with kvSpill answers the same, and refuses dense attention and too little memory",
  async () => {
    const question = "Tell me more. ".repeat(260);
    const options = { temperature: 0, maxTokens: 20, ignoreEos: true };
    await using plain = await loadModel("nano", { contextLength: capacity });
    const { text } = await plain.complete(question, options);
    expect(plain.spillStatus()).toBeUndefined();
    const spill = { contextLength: capacity, kvSpill: join(folder, "api"), cacheBytes: 0 };
    await using model = await loadModel("nano", {
      ...spill,
      kvMemoryBytes: (plain.info.memory.kv / (capacity / 64)) * 28,
    });
    expect((await model.complete(question, options)).text).toBe(text);
    expect(model.spillStatus()?.bytesWritten).toBeGreaterThan(0);
    await expect(loadModel("nano", { ...spill, sparse: "off" })).rejects.toThrow(/sparse: "on"/);
    await expect(loadModel("nano", { ...spill, kvMemoryBytes: 1000 })).rejects.toThrow(OutOfMemoryError);
    await expect(loadModel("nano", { ...spill, kvMemoryBytes: 1000 })).rejects.toThrow(/kvMemoryBytes/);
  },
);

test("kvMemoryBytes and kvSpill are checked", async () => {
  const load = (options: object) => loadModel("nano", options);
  await expect(load({ kvSpill: "" })).rejects.toMatchObject({ code: "OPTION", option: "kvSpill" });
  await expect(load({ kvMemoryBytes: 0.5 })).rejects.toMatchObject({
    code: "OPTION",
    option: "kvMemoryBytes",
  });
});
