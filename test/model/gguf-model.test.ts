import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  array,
  boolean,
  float32,
  type GgufTensor,
  ggufBytes,
  string,
  strings,
  type TypedValue,
  uint32,
} from "../../src/gguf/gguf-writer.ts";
import { openCheckpoint, openModel } from "../../src/model/load.ts";
import { sharedPath, testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();
const file = join(folder, "made.gguf");

const f32 = (name: string, ...shape: number[]): GgufTensor => ({
  name,
  shape,
  type: 0,
  bytes: new Uint8Array(4 * shape.reduce((product, length) => product * length, 1)),
});

const tokens = ["a", "b", "ab", "Ġ", "1", "2", "<s>", "<|im_end|>", "<tool>", "c"];
const types = [1, 1, 1, 1, 1, 1, 3, 3, 4, 1];

const vocabulary = {
  "tokenizer.ggml.model": string("gpt2"),
  "tokenizer.ggml.pre": string("smollm"),
  "tokenizer.ggml.tokens": strings(tokens),
  "tokenizer.ggml.token_type": array(5, types.map(uint32)),
  "tokenizer.ggml.merges": strings(["a b"]),
  "tokenizer.ggml.bos_token_id": uint32(6),
  "tokenizer.ggml.eos_token_id": uint32(2),
  "tokenizer.chat_template": string("{{ messages }}"),
};

const metadata = (architecture: string): Record<string, TypedValue> => ({
  "general.architecture": string(architecture),
  [`${architecture}.context_length`]: uint32(64),
  [`${architecture}.embedding_length`]: uint32(32),
  [`${architecture}.block_count`]: uint32(1),
  [`${architecture}.feed_forward_length`]: uint32(64),
  [`${architecture}.attention.head_count`]: uint32(2),
  [`${architecture}.attention.head_count_kv`]: uint32(1),
  [`${architecture}.attention.layer_norm_rms_epsilon`]: float32(1e-5),
  ...vocabulary,
});

const tensors: readonly GgufTensor[] = [
  f32("token_embd.weight", 10, 32),
  f32("output_norm.weight", 32),
  f32("blk.0.attn_norm.weight", 32),
  f32("blk.0.attn_q.weight", 32, 32),
  f32("blk.0.attn_k.weight", 16, 32),
  f32("blk.0.attn_v.weight", 16, 32),
  f32("blk.0.attn_output.weight", 32, 32),
  f32("blk.0.ffn_norm.weight", 32),
  f32("blk.0.ffn_gate.weight", 64, 32),
  f32("blk.0.ffn_up.weight", 64, 32),
  f32("blk.0.ffn_down.weight", 32, 64),
];

type Change = Readonly<Record<string, TypedValue | undefined>>;

/** Writes a model with some metadata changed (undefined leaves it out) and tensors replaced or added by name. */
function write(architecture: string, change: Change = {}, tensorChange: readonly GgufTensor[] = []): string {
  const entries = Object.entries({ ...metadata(architecture), ...change }).filter(([, value]) => value);
  const names = new Set(tensorChange.map(({ name }) => name));
  const kept = tensors.filter(({ name }) => !names.has(name));
  writeFileSync(
    file,
    ggufBytes({
      metadata: Object.fromEntries(entries) as Record<string, TypedValue>,
      tensors: [...kept, ...tensorChange],
    }),
  );
  return file;
}

const open = (...parts: Parameters<typeof write>) => openModel(write(...parts));

const expectError = (read: () => unknown, code: string, ...words: string[]) => {
  for (const word of words) {
    expect(read).toThrow(expect.objectContaining({ code, message: expect.stringContaining(word) }));
  }
};

test("a llama opens with all scales 1, q and k told to be interleaved", () => {
  const { config, plan, tiedHead } = open("llama");
  expect(config).toMatchObject({
    architecture: "llama",
    vocabSize: 10,
    headDim: 16,
    embedScale: 1,
    residualScale: 1,
    logitScale: 1,
    ropeTheta: 10000,
    maxContext: 64,
    bosToken: 6,
  });
  expect(tiedHead).toBe(true);
  expect(plan.weights["layers.0.attn.q"]?.interleavedHeads).toBe(2);
  expect(plan.weights["layers.0.attn.k"]?.interleavedHeads).toBe(1);
  expect(plan.weights["layers.0.attn.v"]).not.toHaveProperty("interleavedHeads");
});

test("an output tensor unties the head", () => {
  const { tiedHead, plan } = open("llama", {}, [f32("output.weight", 10, 32)]);
  expect([tiedHead, plan.weights.head?.shape]).toEqual([false, [10, 32]]);
});

test("a minicpm without scales has llama.cpp's fallbacks", () => {
  const { config } = open("minicpm");
  expect(config).toMatchObject({ embedScale: 12, residualScale: 1.4, logitScale: 1 / (256 / 32) });
});

test.each([
  [4, 0.25],
  [0.25, 0.25],
  [1, 1],
])("a logit_scale of %f multiplies by %f", (value, scale) => {
  expect(open("minicpm", { "minicpm.logit_scale": float32(value) }).config.logitScale).toBe(scale);
});

test("every end token that the file marks stops an answer", () => {
  expect([...open("llama").stopTokens]).toEqual([2, 7]);
  expect([...open("llama", { "tokenizer.ggml.eot_token_id": uint32(7) }).stopTokens]).toEqual([2, 7]);
});

test("template and special tokens come out of the file", () => {
  const model = open("llama");
  expect(model.chatTemplate).toBe("{{ messages }}");
  expect(model.templateTokens).toEqual({ bos_token: "<s>", eos_token: "ab" });
  expect(model.sources).toEqual([file]);
});

test("control and user-defined tokens are added tokens, one hidden and one shown", () => {
  const { tokenizer } = open("llama");
  expect(tokenizer.addedTokens.map(({ id, special }) => [id, special])).toEqual([
    [6, true],
    [7, true],
    [8, false],
  ]);
  const parsed = tokenizer.encode("ab<tool>b<s> 12", { special: true });
  expect([...parsed]).toEqual([2, 8, 1, 6, 3, 4, 5]);
  expect(tokenizer.decode(parsed)).toBe("ab<tool>b 12");
});

test.each<[boolean | undefined, number[]]>([
  [undefined, []],
  [false, []],
  [true, [6]],
])("add_bos_token %s puts %j first", (value, prefix) => {
  const change = value === undefined ? {} : { "tokenizer.ggml.add_bos_token": boolean(value) };
  expect(open("llama", change).tokenizer.prefix).toEqual(prefix);
});

test("Llama 3's vocabulary wants bos unless the file says no", () => {
  const pre = { "tokenizer.ggml.pre": string("llama-bpe") };
  expect(open("llama", pre).tokenizer.prefix).toEqual([6]);
  expect(open("llama", { ...pre, "tokenizer.ggml.add_bos_token": boolean(false) }).tokenizer.prefix).toEqual(
    [],
  );
});

describe("LongRoPE", () => {
  const numbers = (name: string, values: readonly number[]) => ({
    name,
    shape: [values.length],
    type: 0,
    bytes: Buffer.from(new Float32Array(values).buffer),
  });
  const half = (value: number) => Array.from({ length: 8 }, () => value);
  const scaling = {
    "minicpm.rope.scaling.type": string("longrope"),
    "minicpm.rope.scaling.original_context_length": uint32(32),
  };
  const lists = [
    numbers("rope_factors_short.weight", half(1.5)),
    numbers("rope_factors_long.weight", half(3)),
  ];

  test("its lists are read from their tensors", () => {
    const { config, unknownTensors } = open("minicpm", scaling, lists);
    expect(config.longRope).toMatchObject({
      shortFactor: half(1.5),
      longFactor: half(3),
      originalLength: 32,
      alwaysLong: true,
    });
    expect(config.longRope?.magnitude).toBeCloseTo(Math.sqrt(1 + Math.log(2) / Math.log(32)), 12);
    expect(unknownTensors).toEqual([]);
  });

  test("attn_factor is the magnitude where the file has one", () => {
    const change = { ...scaling, "minicpm.rope.scaling.attn_factor": float32(1.25) };
    expect(open("minicpm", change, lists).config.longRope?.magnitude).toBe(1.25);
  });

  test.each([
    ["missing", lists.slice(0, 1), "no such tensor"],
    ["short", [lists[0], numbers("rope_factors_long.weight", half(1).slice(1))], "F32 [7]"],
    ["nonsense", [lists[0], numbers("rope_factors_long.weight", half(Number.NaN))], "NaN"],
  ] as [string, GgufTensor[], string][])("a list that is %s is refused by name", (_, change, found) => {
    expectError(
      () => open("minicpm", scaling, change),
      "CHECKPOINT",
      "rope_factors_long.weight",
      `found ${found}`,
    );
  });
});

test.each<[string, Change, readonly GgufTensor[], string]>([
  ["another architecture", { "general.architecture": string("gemma3") }, [], "gemma3"],
  ["experts", { "llama.expert_count": uint32(8) }, [], "mixture of experts"],
  ["several files", { "split.count": uint32(3) }, [], "several files"],
  ["llama3's RoPE", {}, [f32("rope_freqs.weight", 8)], "rope_freqs.weight"],
  [
    "a linear factor",
    { "llama.rope.scaling.type": string("linear"), "llama.rope.scaling.factor": float32(4) },
    [],
    "linear",
  ],
  ["biases", {}, [f32("blk.0.attn_q.bias", 32)], "blk.0.attn_q.bias"],
  [
    "Q2_K",
    {},
    [{ name: "blk.0.ffn_down.weight", shape: [32, 256], type: 10, bytes: new Uint8Array(32 * 84) }],
    "Q2_K of blk.0.ffn_down",
  ],
  ["an unknown pre-tokenizer", { "tokenizer.ggml.pre": string("tekken") }, [], '"tekken"'],
  ["a WordPiece vocabulary", { "tokenizer.ggml.model": string("bert") }, [], 'vocabulary "bert"'],
  ["no vocabulary", { "tokenizer.ggml.model": undefined }, [], 'vocabulary "none"'],
])("a file with %s is unsupported, and says what", (_, change, tensorChange, named) => {
  expectError(() => open("llama", change, tensorChange), "UNSUPPORTED", named, file);
});

test.each<[string, TypedValue | undefined]>([
  ["llama.embedding_length", uint32(0)],
  ["llama.embedding_length", uint32(33)],
  ["llama.block_count", string("one")],
  ["llama.block_count", undefined],
  ["llama.attention.head_count", uint32(0)],
  ["llama.attention.layer_norm_rms_epsilon", float32(Number.NaN)],
  ["llama.attention.key_length", uint32(12)],
  ["llama.rope.dimension_count", uint32(8)],
  ["llama.context_length", uint32(1)],
  ["llama.rope.freq_base", float32(-1)],
  ["llama.vocab_size", uint32(0)],
  ["llama.logit_scale", float32(2)],
  ["tokenizer.ggml.bos_token_id", uint32(10)],
  ["tokenizer.ggml.eos_token_id", uint32(10)],
  ["tokenizer.ggml.tokens", array(4, [uint32(1)])],
  ["tokenizer.ggml.merges", string("a b")],
  ["tokenizer.ggml.token_type", array(5, [uint32(1)])],
  ["general.architecture", uint32(1)],
])("metadata that lies about %s is refused by its key", (key, value) => {
  expectError(() => open("llama", { "llama.vocab_size": uint32(10), [key]: value }), "CHECKPOINT", key, file);
});

test("a vocabulary with more tokens than the model is refused", () => {
  const change = {
    "llama.vocab_size": uint32(10),
    "tokenizer.ggml.tokens": strings([...tokens, "d"]),
    "tokenizer.ggml.token_type": array(5, [...types, 1].map(uint32)),
  };
  expectError(() => open("llama", change), "CHECKPOINT", "at most the 10 tokens of the config", file);
});

test.each(tensors.map(({ name }) => name))("%s is missed by name", (name) => {
  const without = tensors.filter((tensor) => tensor.name !== name);
  writeFileSync(file, ggufBytes({ metadata: metadata("llama"), tensors: without }));
  expectError(() => openModel(file), "CHECKPOINT", name, "no such tensor");
});

test("a tensor in another shape, and a norm in a quantized type, are refused by name", () => {
  const wide = f32("blk.0.attn_k.weight", 32, 32);
  expectError(
    () => open("llama", {}, [wide]),
    "CHECKPOINT",
    "blk.0.attn_k.weight",
    "shape [16, 32]",
    "[32, 32]",
  );
});

test("a file with a SentencePiece vocabulary opens with its tokenizer", () => {
  const pieces = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "ab", "▁ab", "c"];
  const { tokenizer } = open("llama", {
    "tokenizer.ggml.model": string("llama"),
    "tokenizer.ggml.tokens": strings(pieces),
    "tokenizer.ggml.token_type": array(5, [2, 3, 3, 1, 1, 1, 1, 1, 1, 1].map(uint32)),
    "tokenizer.ggml.scores": array(6, [0, 0, 0, -5, -6, -7, -1, -2, -3, -8].map(float32)),
    "tokenizer.ggml.bos_token_id": uint32(1),
  });
  const tokens = tokenizer.encode("ab c", { bos: true });
  expect([...tokens].map((id) => tokenizer.idToToken(id))).toEqual(["<s>", "▁ab", "▁", "c"]);
  expect(tokenizer.decode(tokens)).toBe("ab c");
});

const sentencePiece = sharedPath("data/tokenizers/ggml-vocab-llama-spm.gguf");

testNeeding([sentencePiece])("llama.cpp's SentencePiece vocabulary file has no weights, and says so", () => {
  expectError(() => openCheckpoint(sentencePiece), "CHECKPOINT", "token_embd.weight");
});
