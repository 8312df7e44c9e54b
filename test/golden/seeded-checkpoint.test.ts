import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { seededPrompt, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { openSafetensors } from "../../src/model/safetensors.ts";
import { gridCases } from "./grid.ts";

test.each(gridCases.filter((_, index) => index % 5 === 0))(
  "$name has the same weights as in NumPy",
  (golden) => {
    const folder = mkdtempSync(join(tmpdir(), "minicpm-seeded-"));
    try {
      expect(writeSeededCheckpoint(folder, golden.config, golden)).toBe(golden.weightsSha256);
      const last = [...openSafetensors(folder).tensors.values()].at(-1);
      expect((last?.offset ?? 0) + (last?.bytes ?? 0)).toBe(statSync(join(folder, "model.safetensors")).size);
      expect(JSON.parse(readFileSync(join(folder, "config.json"), "utf8"))).toEqual(golden.config);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test("a prompt begins with bos and stays inside the vocabulary", () => {
  const [{ config, seed, length } = { config: undefined, seed: 0, length: 0 }] = gridCases;
  const prompt = config ? seededPrompt(config, seed, length) : new Int32Array();
  expect(prompt).toHaveLength(150);
  expect(prompt[0]).toBe(1);
  expect(Math.min(...prompt.subarray(1))).toBeGreaterThanOrEqual(3);
  expect(Math.max(...prompt)).toBeLessThan(96);
});
