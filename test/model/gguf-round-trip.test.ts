import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { seededPrompt, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { type CheckpointGgufOptions, checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import { openCheckpoint, openModel } from "../../src/model/load.ts";
import { root, testNeeding } from "../needs.ts";
import { bitsOf, decode, prefillIn, withModel, withSequence } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();

const testNative = testNeeding([join(root, "build/Release/minicpm.node")], "npm run build:native");

/** Logits after a prompt, and the tokens that follow. */
async function run(reference: string, device: "cpu" | "reference", tokens: Int32Array) {
  return withModel(reference, { device }, (model) =>
    withSequence(model, 128, async (sequence) => {
      await prefillIn(sequence, tokens, tokens.length);
      return { logits: bitsOf(sequence.logits()), answer: await decode(sequence, 8) };
    }),
  );
}

/** The checkpoint as GGUF beside it. */
function converted(reference: string, name: string, options?: CheckpointGgufOptions): string {
  const path = join(folder, `${name}.gguf`);
  writeFileSync(path, checkpointAsGguf(openCheckpoint(reference), options));
  return path;
}

testNative.each(["tiny", "nano"])("%s as GGUF gives the same bits on both backends", async (name) => {
  const prompt = Int32Array.of(1, 300, 17, 200, 42, 5, 259, 101, 3, 77);
  const path = converted(name, name);
  for (const device of ["cpu", "reference"] as const) {
    expect(await run(path, device, prompt)).toEqual(await run(name, device, prompt));
  }
});

testNative("tiny as GGUF with F32 tensors gives the same bits on the reference backend", async () => {
  const prompt = Int32Array.of(1, 300, 17, 200, 42);
  const path = converted("tiny", "tiny-f32", { matrices: "F32" });
  expect(await run(path, "reference", prompt)).toEqual(await run("tiny", "reference", prompt));
});

testNative.each(["F16", "F32"] as const)(
  "an untied %s model of grouped heads as GGUF gives the same bits",
  async (dtype) => {
    const config = {
      architectures: ["MiniCPMForCausalLM"],
      vocab_size: 288,
      hidden_size: 96,
      intermediate_size: 64,
      num_hidden_layers: 1,
      num_attention_heads: 6,
      num_key_value_heads: 2,
      head_dim: 24,
      max_position_embeddings: 256,
      scale_emb: 3,
      scale_depth: 1.7,
      dim_model_base: 40,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: [2],
    };
    const source = join(folder, dtype);
    writeSeededCheckpoint(source, config, { seed: 7, dtype });
    const prompt = seededPrompt(config, 7, 20);
    expect(await run(converted(source, dtype), "cpu", prompt)).toEqual(await run(source, "cpu", prompt));
  },
);

const qwen3 = {
  architectures: ["Qwen3ForCausalLM"],
  vocab_size: 300,
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 128,
  max_position_embeddings: 256,
  rope_theta: 1_000_000,
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: [2],
};

testNative(
  "a Qwen3 model as GGUF gives the same bits on both backends, its q and k rows as they are",
  async () => {
    const source = join(folder, "qwen3");
    writeSeededCheckpoint(source, qwen3, { seed: 11, dtype: "BF16" });
    const path = converted(source, "qwen3");
    const { config, plan, unknownTensors } = openCheckpoint(path);
    expect(config).toMatchObject({ architecture: "qwen3", qkNorm: true, headDim: 128, ropeTheta: 1_000_000 });
    expect(plan.weights["layers.1.attn.q_norm"]?.shape).toEqual([128]);
    expect(plan.weights["layers.0.attn.q"]).not.toHaveProperty("interleavedHeads");
    expect(unknownTensors).toEqual([]);
    const prompt = seededPrompt(qwen3, 11, 20);
    for (const device of ["cpu", "reference"] as const) {
      expect(await run(path, device, prompt)).toEqual(await run(source, device, prompt));
    }
  },
);

testNative("a model in Q4_0 and Q8_0 is read back as the numbers that were written", async () => {
  const source = join(folder, "to-quantize");
  writeSeededCheckpoint(source, qwen3, { seed: 12, dtype: "F32" });
  const prompt = seededPrompt(qwen3, 12, 20);
  const original = await run(source, "cpu", prompt);
  const far = async (type: "Q8_0" | "Q4_0") => {
    const { logits } = await run(converted(source, type, { matrices: type }), "cpu", prompt);
    const values = (bits: Uint32Array) => new Float32Array(bits.buffer, bits.byteOffset, bits.length);
    const [found, expected] = [values(logits), values(original.logits)];
    const gaps = found.map((value, i) => value - (expected[i] as number));
    return Math.hypot(...gaps) / Math.hypot(...expected);
  };
  const [eight, four] = [await far("Q8_0"), await far("Q4_0")];
  expect(eight).toBeLessThan(0.05);
  expect(four).toBeLessThan(0.6);
  expect(four).toBeGreaterThan(4 * eight);
});

testNeeding([])("a converted model keeps its numbers and brings its made-up vocabulary", () => {
  const original = openCheckpoint("tiny");
  const model = openModel(converted("tiny", "numbers"));
  expect(model.config).toMatchObject({
    architecture: "minicpm",
    embedScale: 12,
    logitScale: original.config.logitScale,
    longRope: original.config.longRope,
    maxContext: 1024,
    bosToken: 1,
  });
  expect(model.config.residualScale).toBe(Math.fround(original.config.residualScale));
  expect(model).toMatchObject({ name: "numbers", format: "gguf", tiedHead: true, unknownTensors: [] });
  const { tokenizer } = model;
  const tokens = tokenizer.encode("Grüße, 你好 🙂", { bos: true });
  expect(tokens[0]).toBe(1);
  expect(tokens).toHaveLength(1 + Buffer.byteLength("Grüße, 你好 🙂"));
  expect(tokenizer.decode(tokens)).toBe("Grüße, 你好 🙂");
});
