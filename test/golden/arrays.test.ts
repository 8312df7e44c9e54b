import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { seededPrompt } from "../../src/bench/seeded-checkpoint.ts";
import { isArrayType, repackedArrayBytes } from "../../src/model/array-types.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { weightElements } from "../../src/model/weight-size.ts";
import { addon } from "../../src/native/binding.ts";
import { bitsOf, planOf, prefillIn, type RunOptions, withModel, withSequence } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { type ArrayCase, arrayCases, writeArrayCheckpoint } from "./arrays.ts";
import { goldenLogits } from "./grid.ts";

const folder = scratchFolder();
const goldens = goldenLogits("arrays");
const cpu = addon()
  .devices()
  .find(({ name }) => name === "cpu");

beforeAll(() => {
  for (const golden of arrayCases) {
    expect(writeArrayCheckpoint(join(folder, golden.name), golden), golden.name).toBe(golden.weightsSha256);
  }
});

/** Logits of the kept rows, prefilled `chunk` tokens at a time between them. */
async function logitsOf(golden: ArrayCase, options: RunOptions, chunk = 100): Promise<Float32Array> {
  const prompt = seededPrompt(golden.config, golden.seed, golden.length);
  return withModel(join(folder, golden.name), options, (model) =>
    withSequence(model, golden.length, async (sequence) => {
      const rows: number[] = [];
      for (const row of golden.rows) {
        await prefillIn(sequence, prompt.subarray(sequence.length, row + 1), chunk);
        rows.push(...sequence.logits());
      }
      return Float32Array.from(rows);
    }),
  );
}

/** The largest difference over the largest logit. */
function errorOf(found: Float32Array, expected: Float32Array | undefined): number {
  expect(found).toHaveLength(expected?.length ?? Number.NaN);
  const error = Math.max(...found.map((logit, i) => Math.abs(logit - (expected?.[i] as number))));
  return error / Math.max(...(expected?.map(Math.abs) ?? []));
}

describe.each(arrayCases)("$name", (golden) => {
  test("has the logits of the NumPy model with the weights that its tensors mean", async () => {
    const expected = goldens.get(golden.name);
    for (const device of ["reference", "cpu"] as const) {
      expect(errorOf(await logitsOf(golden, { device }), expected), device).toBeLessThan(2e-5);
    }
  });

  test("runs with int8 activations, the same bits on any threads and in any chunks", async () => {
    const whole = await logitsOf(golden, { activations: "int8" });
    expect(errorOf(whole, goldens.get(golden.name))).toBeLessThan(0.05);
    for (const isa of cpu?.isas ?? []) {
      const again = await logitsOf(golden, { activations: "int8", threads: 2, isa }, 3);
      if (isa === cpu?.isas[0]) expect(bitsOf(again)).toEqual(bitsOf(whole));
      expect(errorOf(again, whole), isa).toBeLessThan(1e-3);
    }
  });

  test("takes the memory that is foretold, its matrices packed as they are", () => {
    const path = join(folder, golden.name);
    const { weights } = openCheckpoint(path).plan;
    let expected = 0;
    for (const weight of Object.values(weights)) {
      const { dtype } = weight;
      if (isArrayType(dtype)) expected += repackedArrayBytes({ ...weight, dtype });
      if (weight.arrays?.columnGroups) expected += 4 * (weight.shape[1] ?? 0);
      if (weight.shape.length === 1) expected += 4 * weightElements(weight);
    }
    expect(addon().memoryPlan(planOf(path), { capacity: 64, sequences: 1 })).toMatchObject({
      weights: expected,
    });
  });
});
