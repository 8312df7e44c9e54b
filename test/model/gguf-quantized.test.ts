import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { packingOf } from "../../src/chat/packing.ts";
import {
  float32,
  type GgufTensor,
  ggufBytes,
  string,
  tensorTypeNumbers,
  uint32,
} from "../../src/gguf/gguf-writer.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { isQuantType, quantFormats, quantTypes, repackedBytes } from "../../src/model/quant-types.ts";
import { weightElements } from "../../src/model/weight-size.ts";
import { addon, type QuantType } from "../../src/native/binding.ts";
import { root, testNeeding } from "../needs.ts";
import { bitsOf, planOf, prefillIn, withModel, withSequence } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();
const testNative = testNeeding([join(root, "build/Release/minicpm.node")], "npm run build:native");

const vocabulary = 40;
const hidden = 256;
const prompt = Int32Array.of(1, 30, 17, 20, 5, 9, 33, 2, 39, 0, 12);

/** Bytes from a generator of Knuth's, but for those that could make an f16 infinite or none. */
function anyBytes(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 24) & 0xbb;
  });
}

function ones(name: string): GgufTensor {
  return { name, shape: [hidden], type: 0, bytes: new Uint8Array(new Float32Array(hidden).fill(1).buffer) };
}

/** A model of one layer whose matrices are random blocks; q and k have another type where one is given. */
function made(type: QuantType, queries: QuantType = type): string {
  const matrix = (name: string, rows: number, columns = hidden): GgufTensor => {
    const own = /attn_[qk]\./.test(name) ? queries : type;
    const { elements, bytes } = quantFormats[own];
    const length = ((rows * columns) / elements) * bytes;
    const seed = name.length * 1000 + rows;
    return { name, shape: [rows, columns], type: tensorTypeNumbers[own], bytes: anyBytes(length, seed) };
  };
  const path = join(folder, `${type}-${queries}.gguf`);
  const bytes = ggufBytes({
    metadata: {
      "general.architecture": string("llama"),
      "llama.context_length": uint32(64),
      "llama.embedding_length": uint32(hidden),
      "llama.block_count": uint32(1),
      "llama.feed_forward_length": uint32(512),
      "llama.attention.head_count": uint32(4),
      "llama.attention.head_count_kv": uint32(2),
      "llama.attention.layer_norm_rms_epsilon": float32(1e-5),
      "llama.vocab_size": uint32(vocabulary),
      "tokenizer.ggml.eos_token_id": uint32(2),
    },
    tensors: [
      matrix("token_embd.weight", vocabulary),
      matrix("output.weight", vocabulary),
      ones("output_norm.weight"),
      ones("blk.0.attn_norm.weight"),
      matrix("blk.0.attn_q.weight", 256),
      matrix("blk.0.attn_k.weight", 128),
      matrix("blk.0.attn_v.weight", 128),
      matrix("blk.0.attn_output.weight", hidden),
      ones("blk.0.ffn_norm.weight"),
      matrix("blk.0.ffn_gate.weight", 512),
      matrix("blk.0.ffn_up.weight", 512),
      matrix("blk.0.ffn_down.weight", hidden, 512),
    ],
  });
  writeFileSync(path, bytes);
  return path;
}

async function logits(path: string, options: Parameters<typeof withModel>[1], chunk = prompt.length) {
  return withModel(path, options, (model) =>
    withSequence(model, 64, async (sequence) => {
      await prefillIn(sequence, prompt, chunk);
      return Float32Array.from(sequence.logits());
    }),
  );
}

testNative.each(quantTypes)("a GGUF in %s takes the memory that is foretold, packed as it is", (type) => {
  const { plan } = openCheckpoint(made(type));
  let expected = 0;
  for (const weight of Object.values(plan.weights)) {
    expected += isQuantType(weight.dtype)
      ? repackedBytes(weight.dtype, weight.shape)
      : 4 * weightElements(weight);
  }
  const memory = addon().memoryPlan(planOf(made(type)), { capacity: 64, sequences: 1 });
  expect(memory).toMatchObject({ mapped: 0, weights: expected });
});

testNative.each(quantTypes)(
  "a GGUF in %s gives the definition's logits with f32 activations, and close ones with int8",
  async (type) => {
    const path = made(type);
    const definition = await logits(path, { device: "reference" });
    const scale = Math.hypot(...definition);
    const far = (found: Float32Array) =>
      Math.hypot(...found.map((value, i) => value - (definition[i] as number))) / scale;
    expect(scale).toBeGreaterThan(0);
    expect(far(await logits(path, {}))).toBeLessThan(1e-4);
    const rounded = await logits(path, { activations: "int8" });
    expect(far(rounded)).toBeGreaterThan(0);
    expect(far(rounded)).toBeLessThan(0.1);
    expect(bitsOf(await logits(path, { activations: "int8", threads: 2 }, 3))).toEqual(bitsOf(rounded));
  },
);

testNative("types may be mixed, as llama-quantize mixes them", async () => {
  for (const [type, queries] of [
    ["Q4_K", "Q6_K"],
    ["Q5_0", "Q8_0"],
    ["TQ2_0", "Q4_1"],
  ] as const) {
    const path = made(type, queries);
    const whole = await logits(path, { activations: "int8" });
    expect(bitsOf(await logits(path, { activations: "int8", threads: 2 }, 2))).toEqual(bitsOf(whole));
  }
});

testNeeding([])("a quantized GGUF runs with int8 activations unless f32 is asked for", () => {
  const checkpoint = openCheckpoint(made("Q5_K"));
  expect(packingOf({}, checkpoint)).toEqual({ activations: "int8" });
  expect(packingOf({ activations: "f32" }, checkpoint)).toEqual({ activations: "f32" });
  expect(packingOf({ pack: "w4" }, checkpoint)).toMatchObject({ pack: { format: "w4", group: 128 } });
});
