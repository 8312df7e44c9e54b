/** Models on the emulated CUDA device, through the plug-in: the same path as on a real one. */
import { join } from "node:path";
import { expect, type TestAPI } from "vitest";
import { addon, type DeviceInfo, type NativeSequence } from "../../src/native/binding.ts";
import { addonFile } from "../cli/cli-process.ts";
import { root, testNeeding } from "../needs.ts";
import { type RunOptions, withModel, withSequence } from "../real/native-model.ts";

/** Or another plug-in, by which the same tests run on a real card (bench/gpu.sh). */
export const emulatedPlugin =
  process.env.MINICPM_TEST_PLUGIN ?? join(root, "build/Release/minicpm_cuda_emulated.node");
export const testEmulated: TestAPI = testNeeding([addonFile, emulatedPlugin], "npm run build:native");

/** Where to run. */
export const onCuda = { device: "cuda:0", plugin: emulatedPlugin } as const;

export function emulatedDevice(): DeviceInfo {
  const [device] = addon().pluginDevices(emulatedPlugin);
  if (!device) throw new Error("There is no emulated device.");
  return device;
}

/** Logits after each of the last `count` tokens, which come one by one. */
async function logitsOf(
  sequence: NativeSequence,
  tokens: Int32Array,
  count: number,
): Promise<Float32Array[]> {
  const context = tokens.subarray(0, tokens.length - count);
  if (context.length > 0) await sequence.prefill(context);
  const rows: Float32Array[] = [];
  for (const token of tokens.subarray(-count)) {
    await sequence.prefill(Int32Array.of(token));
    rows.push(sequence.logits());
  }
  return rows;
}

/**
 * Runs the last `count` of `tokens` one by one, on the CPU and on the emulated device; expects logits within
 * `tolerance`, and the same best token wherever the CPU's two best are further apart than that.
 */
export async function expectSameWinners(
  reference: string,
  options: RunOptions,
  { tokens, count, tolerance }: { tokens: Int32Array; count: number; tolerance: number },
): Promise<void> {
  const run = (place: RunOptions) =>
    withModel(reference, { activations: "f32", ...options, ...place }, (model) =>
      withSequence(model, tokens.length, (sequence) => logitsOf(sequence, tokens, count)),
    );
  const expected = await run({ device: "cpu" });
  const found = await run(onCuda);
  let clear = 0;
  for (const [i, row] of expected.entries()) {
    const there = found[i] ?? new Float32Array();
    const apart = row.reduce(
      (most, logit, id) => Math.max(most, Math.abs(logit - (there[id] ?? Infinity))),
      0,
    );
    expect(apart, `logits after token ${i}`).toBeLessThan(tolerance);
    const [best = 0, second = 0] = [...row].sort((a, b) => b - a);
    if (best - second <= tolerance) continue;
    clear++;
    expect(there.indexOf(Math.max(...there)), `the best after token ${i}`).toBe(row.indexOf(best));
  }
  expect(clear).toBeGreaterThan(count / 2);
}
