import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type SeededConfig, seededPrompt, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { packingOf } from "../../src/chat/packing.ts";
import { modelReport } from "../../src/cli/model-report.ts";
import { checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import { openCheckpoint, openModel } from "../../src/model/load.ts";
import { packedBytes } from "../../src/model/weight-size.ts";
import { addon, type ModelPlan, type WeightPlan } from "../../src/native/binding.ts";
import { root, testNeeding } from "../needs.ts";
import { bitsOf, planOf, type RunOptions, withSequence } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { smallTokenizer } from "./small-tokenizer.ts";

const folder = scratchFolder();
const testNative = testNeeding([join(root, "build/Release/minicpm.node")], "npm run build:native");
let written = 0;

const config: SeededConfig = {
  architectures: ["MiniCPMForCausalLM"],
  vocab_size: 96,
  hidden_size: 128,
  intermediate_size: 192,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  tie_word_embeddings: false,
  max_position_embeddings: 256,
  eos_token_id: 2,
};
const prompt = seededPrompt(config, 5, 20);

/** A checkpoint whose layers are ternary in groups of `group`, as bf16; `change` gets each matrix's numbers. */
function made(group: number, change: (numbers: Uint16Array, name: string) => void = () => {}): string {
  const path = join(folder, String(written++));
  mkdirSync(path);
  writeSeededCheckpoint(path, config, { seed: 5, dtype: "BF16" });
  const { weights } = openCheckpoint(path).plan;
  const file = join(path, "model.safetensors");
  const bytes = Uint8Array.from(readFileSync(file));
  for (const [name, { offset, shape }] of Object.entries(weights)) {
    const [rows = 0, columns = 0] = shape;
    if (!name.startsWith("layers.") || shape.length !== 2) continue;
    const numbers = new Uint16Array(bytes.buffer, offset, rows * columns);
    numbers.forEach((number, i) => {
      // Exponents stay, so that magnitudes are about those of the seeded weights; mantissas say which group it is.
      const scale = 0x3d80 + ((Math.floor(i / columns) * 7 + Math.floor((i % columns) / group)) % 100);
      numbers[i] = number & 8 ? 0 : scale | (number & 0x8000);
    });
    change(numbers, name);
  }
  writeFileSync(file, bytes);
  return path;
}

const groupsOf = (path: string) =>
  new Set(
    Object.entries(openCheckpoint(path).plan.weights).flatMap(([name, { shape, ternary }]) =>
      name.startsWith("layers.") && shape.length === 2 ? [ternary] : ternary ? [-1] : [],
    ),
  );

/** The same plan with nothing marked: floats as they are. */
function asFloats(plan: ModelPlan): ModelPlan {
  const weights = Object.entries(plan.weights).map(([name, { ternary: _, ...weight }]) => [name, weight]);
  return { ...plan, weights: Object.fromEntries(weights) as Record<string, WeightPlan> };
}

async function logits(plan: ModelPlan): Promise<Float32Array> {
  const model = await addon().loadModel(plan);
  try {
    return await withSequence(model, 64, async (sequence) => {
      await sequence.prefill(prompt);
      return sequence.logits();
    });
  } finally {
    await model.dispose();
  }
}

async function error(path: string, options: RunOptions = {}): Promise<number> {
  const expected = await logits(asFloats(planOf(path, { device: "reference" })));
  const found = await logits(planOf(path, options));
  const most = Math.max(...expected.map(Math.abs));
  return Math.max(...found.map((logit, i) => Math.abs(logit - (expected[i] as number)))) / most;
}

test.each([32, 64, 128])("ternary layers are found, with a scale for %i columns", (group) => {
  expect(groupsOf(made(group))).toEqual(new Set([group]));
});

test("inspect says so", () => {
  const path = made(64);
  writeFileSync(join(path, "tokenizer.json"), JSON.stringify(smallTokenizer));
  expect(modelReport(openModel(path)).repacked).toEqual({ "BF16, ternary": "w2 (ternary), scales of 64" });
});

test("a scale for a whole row is one for each 128 columns", () => {
  expect(groupsOf(made(192))).toEqual(new Set([128]));
});

test("a matrix whose last row is not ternary, or that holds zeros only, is not", () => {
  const path = made(64, (numbers, name) => {
    if (name === "layers.0.attn.q") numbers[numbers.length - 1] = 0x3f80;
    if (name === "layers.1.mlp.up") numbers.fill(0);
  });
  const { weights } = openCheckpoint(path).plan;
  expect(weights["layers.0.attn.q"]?.ternary).toBeUndefined();
  expect(weights["layers.1.mlp.up"]?.ternary).toBeUndefined();
  expect(weights["layers.0.attn.k"]?.ternary).toBe(64);
});

test("ordinary weights are not ternary", () => {
  const path = join(folder, "ordinary");
  mkdirSync(path);
  writeSeededCheckpoint(path, config, { seed: 6, dtype: "BF16" });
  expect(groupsOf(path)).toEqual(new Set([undefined]));
});

testNative("they are packed as w2 with the same numbers, in the memory that is foretold", async () => {
  const path = made(64);
  const { files, weights } = openCheckpoint(path).plan;
  const memory = addon().memoryPlan(planOf(path), { capacity: 64, sequences: 1 });
  const packed = Object.values(weights).reduce((sum, { shape, ternary }) => {
    if (ternary) return sum + packedBytes(shape, { format: "w2", group: ternary });
    return shape.length === 1 ? sum + 4 * (shape[0] ?? 0) : sum;
  }, 0);
  expect(memory).toMatchObject({ weights: packed, mapped: files[0]?.bytes });
  expect(await error(path)).toBeLessThan(2e-5);
  expect(await error(path, { device: "reference" })).toBeLessThan(2e-5);
  const rounded = await error(path, { activations: "int8" });
  expect(rounded).toBeGreaterThan(1e-4);
  expect(rounded).toBeLessThan(0.05);
});

testNative("packing leaves them as they are, and packs embedding and head", () => {
  const path = made(128);
  const takes = (options: RunOptions) =>
    addon().memoryPlan(planOf(path, options), { capacity: 64, sequences: 1 }).weights;
  const head = packedBytes([96, 128], { format: "w8", group: 32 });
  expect(takes({ pack: { format: "w4", group: 32 } }) - takes({})).toBe(2 * head);
});

testNative("one that is not ternary after all, in a row that no sample has, stays as it is", async () => {
  const path = made(32, (numbers, name) => {
    if (name === "layers.0.mlp.gate") numbers[192] = 0x4120;
  });
  expect(groupsOf(path)).toEqual(new Set([32]));
  expect(await error(path)).toBeLessThan(2e-5);
  const without = made(32);
  expect(bitsOf(await logits(planOf(path)))).not.toEqual(bitsOf(await logits(planOf(without))));
});

testNative("floats of a GGUF are found and packed too, q and k in interleaved rows", async () => {
  const path = made(64);
  const file = `${path}.gguf`;
  writeFileSync(file, checkpointAsGguf(openCheckpoint(path)));
  expect(groupsOf(file)).toEqual(new Set([64]));
  expect(await error(file)).toBeLessThan(2e-5);
});

test("they run with int8 activations unless f32 is asked for", () => {
  const checkpoint = openCheckpoint(made(128));
  expect(packingOf({}, checkpoint)).toEqual({ activations: "int8" });
  expect(packingOf({ activations: "f32" }, checkpoint)).toEqual({ activations: "f32" });
});
