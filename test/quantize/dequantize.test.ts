import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { openCheckpoint } from "../../src/model/load.ts";
import { addon } from "../../src/native/binding.ts";
import { dequantize } from "../../src/quantize/dequantize.ts";
import { quantize } from "../../src/quantize/quantize.ts";
import { nano, testNative as test } from "../cli/cli-process.ts";
import { withModel, withSequence } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();

/** Logits behind a few tokens, activations in float32. */
function logitsOf(reference: string): Promise<Float32Array> {
  return withModel(reference, { activations: "f32" }, (model) =>
    withSequence(model, 32, async (sequence) => {
      await sequence.prefill(Int32Array.from({ length: 32 }, (_, i) => 7 * i));
      return sequence.logits();
    }),
  );
}

function worstGap(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}

test.each([
  { format: "w4", group: 128 },
  { format: "w8", group: 32 },
  { format: "w2", group: 64 },
] as const)("$format in groups of $group becomes a folder of the same numbers", async (pack) => {
  const packed = join(folder, pack.format);
  await quantize(nano, packed, { ...pack, method: "rtn" });
  const exact = join(folder, `${pack.format}-f32`);
  await dequantize(packed, exact, { type: "F32" });
  expect(worstGap(await logitsOf(exact), await logitsOf(packed))).toBeLessThan(1e-4);

  const { bytes } = await dequantize(packed, join(folder, `${pack.format}-bf16`));
  expect(bytes).toBeLessThan(1.02 * 2 * 5.05e6);
  const { plan, packed: none } = openCheckpoint(join(folder, `${pack.format}-bf16`));
  expect(none).toBeUndefined();
  expect(new Set(Object.values(plan.weights).map(({ dtype }) => dtype))).toEqual(new Set(["BF16"]));
});

test("a folder in BF16 comes back byte by byte", async () => {
  const out = join(folder, "same");
  await dequantize(nano, out);
  const [mine, theirs] = [openCheckpoint(out), openCheckpoint(nano)];
  for (const [name, weight] of Object.entries(mine.plan.weights)) {
    const source = theirs.plan.weights[name];
    if (!source || weight.shape.length === 1) continue;
    const read = (from: typeof mine, { file, ...rest }: typeof weight) =>
      addon().readWeight(
        from.plan.files[file] ?? { path: "", bytes: 0 },
        { ...rest, file: 0 },
        {
          type: "BF16",
          firstRow: 0,
          rows: rest.shape[0] ?? 0,
        },
      );
    expect(Buffer.from(await read(mine, weight)).equals(await read(theirs, source)), name).toBe(true);
  }
  expect(readFileSync(join(out, "config.json"))).toEqual(readFileSync(join(nano, "config.json")));
});

test("a call that is aborted leaves nothing, and what is there is not replaced", async () => {
  const out = join(folder, "aborted");
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  const aborted = dequantize(nano, out, { signal: controller.signal, onProgress });
  await expect(aborted).rejects.toMatchObject({ name: "AbortError" });
  expect(readdirSync(folder).filter((name) => name.startsWith("aborted"))).toEqual([]);
  await dequantize(nano, out);
  await expect(dequantize(nano, out)).rejects.toMatchObject({ code: "OPTION" });
  expect(existsSync(`${out}.unfinished`)).toBe(false);
});
