import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededPrompt, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { addon } from "../../src/native/binding.ts";
import { type RunOptions, withModel, withSequence } from "../real/native-model.ts";
import { type GridCase, goldenLogits, gridCases, qwen3Cases, sparseCases } from "./grid.ts";

/**
 * Largest difference over the largest logit. f32 arithmetic alone costs 3e-6 here, f16 keys and values about 1e-3, int8 ones a few hundredths; a
 * wrong epsilon, the least of the mistakes tried, costs 1e-3 with f32, a wrong LongRoPE list 0.5.
 */
const tolerance = { f32: 2e-5, f16: 4e-3, int8: 8e-2 } as const;
const denseCases = [...gridCases, ...qwen3Cases];
const denseLogits = new Map([...goldenLogits("grid"), ...goldenLogits("qwen3")]);
const sparseLogits = goldenLogits("sparse");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-grid-"));
  for (const golden of [...denseCases, ...sparseCases]) {
    const digest = writeSeededCheckpoint(join(folder, golden.name), golden.config, golden);
    expect(digest, golden.name).toBe(golden.weightsSha256);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cpu = addon()
  .devices()
  .find(({ name }) => name === "cpu");
const places = [
  { device: "reference", isa: "" },
  ...(cpu?.isas ?? []).map((isa) => ({ device: "cpu", isa }) as const),
] as const;

/** The largest difference to the golden's logits over the largest logit, rows prefilled one call after another. */
async function errorOf(
  golden: GridCase,
  expected: Float32Array | undefined,
  options: RunOptions,
): Promise<number> {
  const prompt = seededPrompt(golden.config, golden.seed, golden.length);
  const found = await withModel(join(folder, golden.name), options, (model) =>
    withSequence(model, golden.capacity, async (sequence) => {
      const rows: number[] = [];
      for (const row of golden.rows) {
        await sequence.prefill(prompt.subarray(sequence.length, row + 1));
        rows.push(...sequence.logits());
      }
      return rows;
    }),
  );
  expect(found).toHaveLength(expected?.length ?? Number.NaN);
  const error = Math.max(...found.map((logit, i) => Math.abs(logit - (expected?.[i] as number))));
  return error / (expected?.reduce((largest, logit) => Math.max(largest, Math.abs(logit)), 0) ?? 0);
}

describe.each(places)("on $device $isa", ({ device, isa }) => {
  test.each(denseCases)("$name has the logits of the NumPy model", async (golden) => {
    const expected = denseLogits.get(golden.name);
    for (const kvType of ["f32", "f16", ...(device === "cpu" ? ["int8" as const] : [])] as const) {
      const error = await errorOf(golden, expected, { device, isa, kvType });
      expect(error, `kvType ${kvType}`).toBeLessThan(tolerance[kvType]);
    }
  });

  // With f16 keys and values other blocks may win: those are compared with f32 only. A wrong block costs 0.1 and more.
  test.each(sparseCases)("$name, sparse, has the logits of the NumPy model", async (golden) => {
    const error = await errorOf(golden, sparseLogits.get(golden.name), { device, isa, kvType: "f32" });
    expect(error).toBeLessThan(tolerance.f32);
  });
});
