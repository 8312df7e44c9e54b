import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededPrompt, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { addon } from "../../src/native/binding.ts";
import { gridCases, qwen3Cases, sparseCases } from "../golden/grid.ts";
import { bitsOf, withModel, withSequence } from "./native-model.ts";
import { expectSameBits } from "./same-bits.ts";

/** Contract 1 on tiny models: equal bits, no tolerance. bits.slow.test.ts does the same on the 0.5B's shapes. */
const cases = [...gridCases.filter((_, index) => index % 3 === 1), ...qwen3Cases.slice(2, 5)];
const int8 = gridCases.filter((_, index) => index % 12 === 5);
const sparse = sparseCases.filter((_, index) => index % 5 === 0);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-bits-"));
  for (const golden of [...cases, ...int8, ...sparse])
    writeSeededCheckpoint(join(folder, golden.name), golden.config, golden);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(["cpu", "reference"] as const)("on %s", (device) => {
  test.each(cases)(
    "$name gives the same bits in any chunks, with any threads",
    async ({ name, config, seed, capacity, length }) => {
      const tokens = seededPrompt(config, seed, Math.min(length, capacity));
      await expectSameBits(join(folder, name), { device, kvType: "f16" }, tokens, capacity);
    },
  );
});

test.each(sparse)("$name, sparse, gives the same bits in any chunks, with any threads", async (golden) => {
  const tokens = seededPrompt(golden.config, golden.seed, golden.length);
  await expectSameBits(join(folder, golden.name), { device: "cpu", kvType: "f16" }, tokens, golden.capacity);
});

test.each(int8)("$name, int8 keys and values, gives the same bits in any chunks", async (golden) => {
  const { name, config, seed, capacity, length } = golden;
  const tokens = seededPrompt(config, seed, Math.min(length, capacity));
  await expectSameBits(join(folder, name), { device: "cpu", kvType: "int8" }, tokens, capacity);
});

test("packed weights with int8 keys and values give the same bits on all instruction sets", async () => {
  const tokens = seededPrompt({ vocab_size: 2048 }, 3, 200);
  const isas = addon()
    .devices()
    .find((device) => device.name === "cpu")?.isas;
  const found: Uint32Array[] = [];
  for (const isa of isas ?? []) {
    const packing = { pack: { format: "w4", group: 128 }, activations: "int8" } as const;
    await withModel("nano", { kvType: "int8", isa, ...packing }, (model) =>
      withSequence(model, 256, async (sequence) => {
        await sequence.prefill(tokens);
        found.push(bitsOf(sequence.logits()));
      }),
    );
  }
  expect(found.length).toBeGreaterThan(0);
  for (const bits of found) expect(bits).toEqual(found[0]);
});

test("a row that was decoded has the bits of the same row prefilled", async () => {
  const { name, config, seed, capacity } = cases[0] as (typeof cases)[0];
  await withModel(join(folder, name), { kvType: "f16" }, (model) =>
    withSequence(model, capacity, async (sequence) => {
      const prompt = seededPrompt(config, seed, 100);
      await sequence.prefill(prompt.subarray(0, 60));
      for (const token of prompt.subarray(60)) await sequence.prefill(Int32Array.of(token));
      const single = sequence.logits();
      sequence.truncate(50);
      await sequence.prefill(prompt.subarray(50));
      expect(new Uint32Array(sequence.logits().buffer)).toEqual(new Uint32Array(single.buffer));
    }),
  );
});
