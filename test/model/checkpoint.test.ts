import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { CheckpointError } from "../../src/errors.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { type ZeroTensor, zeroTensors } from "./safetensors-writer.ts";

const folder = scratchFolder();
const file = join(folder, "model.safetensors");

const config = {
  architectures: ["LlamaForCausalLM"],
  vocab_size: 10,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
  tie_word_embeddings: false,
};

const bf16 = (...shape: number[]): ZeroTensor => ({ dtype: "BF16", shape });

const tensors: Readonly<Record<string, ZeroTensor>> = {
  "model.embed_tokens.weight": bf16(10, 16),
  "lm_head.weight": bf16(10, 16),
  "model.norm.weight": bf16(16),
  ...Object.assign(
    {},
    ...[0, 1].map((layer) => ({
      [`model.layers.${layer}.input_layernorm.weight`]: bf16(16),
      [`model.layers.${layer}.self_attn.q_proj.weight`]: bf16(16, 16),
      [`model.layers.${layer}.self_attn.k_proj.weight`]: bf16(8, 16),
      [`model.layers.${layer}.self_attn.v_proj.weight`]: bf16(8, 16),
      [`model.layers.${layer}.self_attn.o_proj.weight`]: bf16(16, 16),
      [`model.layers.${layer}.post_attention_layernorm.weight`]: bf16(16),
      [`model.layers.${layer}.mlp.gate_proj.weight`]: bf16(24, 16),
      [`model.layers.${layer}.mlp.up_proj.weight`]: bf16(24, 16),
      [`model.layers.${layer}.mlp.down_proj.weight`]: bf16(16, 24),
    })),
  ),
};

/** Opens the checkpoint with some fields and tensors changed, new ones first; undefined leaves a tensor out. */
function open(change: object = {}, tensorChange: Readonly<Record<string, ZeroTensor | undefined>> = {}) {
  const changed = Object.entries({ ...tensorChange, ...tensors, ...tensorChange }).filter(
    ([, tensor]) => tensor,
  );
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...change }));
  writeFileSync(file, zeroTensors(Object.fromEntries(changed) as Record<string, ZeroTensor>));
  return openCheckpoint(folder);
}

/** The facts of the CheckpointError that opening throws. */
function complaint(
  change: object,
  tensorChange?: Readonly<Record<string, ZeroTensor | undefined>>,
): string[] {
  try {
    open(change, tensorChange);
  } catch (error) {
    const { code, file: named, tensor, expected, found } = error as CheckpointError;
    expect(code).toBe("CHECKPOINT");
    return [named, tensor, expected, found];
  }
  throw new Error("nothing was thrown");
}

test("every tensor is there under our name, with its place, type and shape", () => {
  const { plan, unknownTensors, tiedHead } = open();
  expect(Object.keys(plan.weights)).toHaveLength(3 + 2 * 9);
  expect(plan.weights["layers.1.attn.k"]).toMatchObject({ file: 0, dtype: "BF16", shape: [8, 16] });
  expect(plan.weights["layers.0.mlp.down"]?.shape).toEqual([16, 24]);
  expect(plan.files).toEqual([{ path: file, bytes: expect.any(Number) }]);
  expect(Object.values(plan.weights).some((weight) => "interleavedHeads" in weight)).toBe(false);
  const offsets = Object.values(plan.weights).map(({ offset }) => offset);
  expect(new Set(offsets).size).toBe(offsets.length);
  expect([unknownTensors, tiedHead]).toEqual([[], false]);
});

test("F16, F32 and BF16 may stand beside each other", () => {
  const mixed = {
    "model.norm.weight": { dtype: "F32", shape: [16] },
    "lm_head.weight": { dtype: "F16", shape: [10, 16] },
  };
  const { plan } = open({}, mixed as Record<string, ZeroTensor>);
  expect([plan.weights.norm?.dtype, plan.weights.head?.dtype, plan.weights.embed?.dtype]).toEqual([
    "F32",
    "F16",
    "BF16",
  ]);
});

test("a tied head leaves its copy alone and is no unknown tensor", () => {
  const { plan, tiedHead, unknownTensors } = open({ tie_word_embeddings: true });
  expect([plan.weights.head, tiedHead, unknownTensors]).toEqual([undefined, true, []]);
});

test("where the config does not say, the tensors tell whether the head is tied", () => {
  expect(open({ tie_word_embeddings: undefined }).tiedHead).toBe(false);
  expect(open({ tie_word_embeddings: undefined }, { "lm_head.weight": undefined }).tiedHead).toBe(true);
});

test("tensors without a use are listed, rotary tables are not", () => {
  const extra = {
    "model.layers.0.self_attn.rotary_emb.inv_freq": bf16(4),
    "model.layers.2.mlp.up_proj.weight": bf16(24, 16),
    "model.vision.weight": bf16(3),
  };
  expect(open({}, extra).unknownTensors).toEqual([
    "model.layers.2.mlp.up_proj.weight",
    "model.vision.weight",
  ]);
});

test.each(Object.keys(tensors))("%s is missed by name", (name) => {
  const [named, tensor, expected, found] = complaint({}, { [name]: undefined });
  expect([named, tensor, found]).toEqual([file, name, "no such tensor"]);
  expect(expected).toBe(`F32 or F16 or BF16 [${tensors[name]?.shape.join(", ")}]`);
});

test.each(Object.keys(tensors))("%s in another shape is refused by name", (name) => {
  const shape = tensors[name]?.shape ?? [];
  const larger = shape.map((length, axis) => (axis === 0 ? length + 1 : length));
  const words = complaint({}, { [name]: bf16(...larger) });
  expect(words).toEqual([file, name, `shape [${shape.join(", ")}]`, `[${larger.join(", ")}]`]);
  expect(complaint({}, { [name]: bf16(...shape, 1) })[3]).toBe(`[${[...shape, 1].join(", ")}]`);
});

test("Qwen3 wants the norms of queries and keys, a Llama leaves them alone", () => {
  const qwen3 = { architectures: ["Qwen3ForCausalLM"], head_dim: 8 };
  const norms = Object.fromEntries(
    [0, 1].flatMap((layer) =>
      ["q", "k"].map((part) => [`model.layers.${layer}.self_attn.${part}_norm.weight`, bf16(8)]),
    ),
  );
  expect(open(qwen3, norms).plan.weights["layers.1.attn.k_norm"]).toMatchObject({
    dtype: "BF16",
    shape: [8],
  });
  expect(complaint(qwen3).slice(1)).toEqual([
    "model.layers.0.self_attn.q_norm.weight",
    "F32 or F16 or BF16 [8]",
    "no such tensor",
  ]);
  const plain = open({}, norms);
  expect(plain.plan.weights).not.toHaveProperty(["layers.0.attn.q_norm"]);
  expect(plain.unknownTensors).toHaveLength(4);
});

test("a dtype that is none of ours is refused by name", () => {
  const name = "model.layers.1.mlp.up_proj.weight";
  const words = complaint({}, { [name]: { dtype: "I8", shape: [24, 16] } });
  expect(words).toEqual([file, name, "F32 or F16 or BF16", "I8"]);
});

test("a tensor at an odd place is refused by name", () => {
  const words = complaint({}, { "three.bytes": { dtype: "I8", shape: [3] } });
  expect(words.slice(1, 3)).toEqual(["model.embed_tokens.weight", "an offset that is a multiple of 2"]);
});

test.each<[object, string, string]>([
  [{ vocab_size: 11 }, "model.embed_tokens.weight", "shape [11, 16]"],
  [{ num_hidden_layers: 3 }, "model.layers.2.input_layernorm.weight", "F32 or F16 or BF16 [16]"],
  [{ intermediate_size: 32 }, "model.layers.0.mlp.gate_proj.weight", "shape [32, 16]"],
  [{ num_key_value_heads: 2 }, "model.layers.0.self_attn.k_proj.weight", "shape [16, 16]"],
  [{ head_dim: 16 }, "model.layers.0.self_attn.q_proj.weight", "shape [32, 16]"],
])("a config that lies (%o) is noticed at its tensor", (change, tensor, expected) => {
  const words = complaint(change);
  expect([words[1], words[2]]).toEqual([tensor, expected]);
});
