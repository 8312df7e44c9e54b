import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededPrompt, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { addon } from "../../src/native/binding.ts";
import { withModel, withSequence } from "../real/native-model.ts";
import { gridCases, gridLogits } from "./grid.ts";

/**
 * Largest difference over the largest logit. f32 arithmetic alone costs 3e-6 here, f16 keys and values about 1e-3; a
 * wrong epsilon, the least of the mistakes tried, costs 1e-3 with f32, a wrong LongRoPE list 0.5.
 */
const tolerance = { f32: 2e-5, f16: 4e-3 } as const;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-grid-"));
  for (const golden of gridCases) {
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

describe.each(places)("on $device $isa", ({ device, isa }) => {
  test.each(gridCases)("$name has the logits of the NumPy model", async (golden) => {
    const checkpoint = join(folder, golden.name);
    const expected = gridLogits().get(golden.name) as Float32Array;
    const prompt = seededPrompt(golden.config, golden.seed, golden.length);

    for (const kvType of ["f32", "f16"] as const) {
      const found = await withModel(checkpoint, { device, isa, kvType }, (model) =>
        withSequence(model, golden.capacity, async (sequence) => {
          const rows: number[] = [];
          for (const row of golden.rows) {
            await sequence.prefill(prompt.subarray(sequence.length, row + 1));
            rows.push(...sequence.logits());
          }
          return rows;
        }),
      );
      expect(found).toHaveLength(expected.length);
      const error = Math.max(...found.map((logit, i) => Math.abs(logit - (expected[i] as number))));
      const largest = Math.max(...expected.map(Math.abs));
      expect(error / largest, `kvType ${kvType}`).toBeLessThan(tolerance[kvType]);
    }
  });
});
