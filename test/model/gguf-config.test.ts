import { expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import {
  array,
  float32,
  type GgufTensor,
  ggufBytes,
  string,
  strings,
  type TypedValue,
  uint32,
} from "../../src/gguf/gguf-writer.ts";
import { inMemory } from "../../src/model/byte-source.ts";
import { readGguf } from "../../src/model/gguf.ts";
import { parseGgufConfig } from "../../src/model/gguf-config.ts";

const file = "model.gguf";

/** Metadata of a small model; keys of `change` without a dot get the architecture before them. */
function metadata(architecture: string, change: Readonly<Record<string, TypedValue | undefined>>) {
  const own = {
    vocab_size: uint32(100),
    context_length: uint32(128),
    embedding_length: uint32(64),
    block_count: uint32(4),
    feed_forward_length: uint32(48),
    "attention.head_count": uint32(4),
    "attention.head_count_kv": uint32(2),
    "attention.layer_norm_rms_epsilon": float32(2 ** -17),
  };
  const all: Record<string, TypedValue | undefined> = {
    "general.architecture": string(architecture),
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
    ...change,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value)) as Record<string, TypedValue>;
}

function parse(
  change: Readonly<Record<string, TypedValue | undefined>> = {},
  { architecture = "llama", tensors = [] as readonly GgufTensor[] } = {},
) {
  const source = inMemory(file, ggufBytes({ metadata: metadata(architecture, change), tensors }));
  return parseGgufConfig(source, readGguf(source));
}

function complaint(...of: Parameters<typeof parse>): [string, string, string] {
  try {
    parse(...of);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.file).toBe(file);
    return [error.tensor, error.expected, error.found];
  }
  throw new Error("nothing was thrown");
}

const factors = (name: string, values: readonly number[]): GgufTensor => ({
  name: `rope_factors_${name}.weight`,
  shape: [values.length],
  type: 0,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const eight = (value: number) => Array.from({ length: 8 }, () => value);
const longRope = {
  "minicpm.rope.scaling.type": string("longrope"),
  "minicpm.rope.scaling.original_context_length": uint32(64),
};
const ropeTensors = [factors("short", eight(1.5)), factors("long", eight(2))];

test("a llama's numbers are read, its scales are 1", () => {
  expect(parse()).toEqual({
    architecture: "llama",
    vocabSize: 100,
    hiddenSize: 64,
    intermediateSize: 48,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    rmsNormEps: 2 ** -17,
    embedScale: 1,
    residualScale: 1,
    logitScale: 1,
    ropeTheta: 10000,
    maxContext: 128,
    eosTokens: [],
  });
});

test("a minicpm's scales are read, its logit scale as divisor or multiplier", () => {
  const scales = (logit: number) => ({
    "minicpm.embedding_scale": float32(3),
    "minicpm.residual_scale": float32(0.5),
    "minicpm.logit_scale": float32(logit),
  });
  const expected = { embedScale: 3, residualScale: 0.5, logitScale: 0.25 };
  expect(parse(scales(4), { architecture: "minicpm" })).toMatchObject(expected);
  expect(parse(scales(0.25), { architecture: "minicpm" })).toMatchObject(expected);
});

test("a qwen3 has qk-norm and scales of 1", () => {
  const config = parse({ "qwen3.attention.key_length": uint32(32) }, { architecture: "qwen3" });
  expect(config).toMatchObject({ architecture: "qwen3", qkNorm: true, headDim: 32, embedScale: 1 });
  expect(parse()).not.toHaveProperty("qkNorm");
});

test("YaRN in metadata is the YaRN of config.json, its magnitude times attn_factor", () => {
  const yarn = {
    "qwen3.attention.key_length": uint32(64),
    "qwen3.rope.freq_base": float32(5000),
    "qwen3.rope.scaling.type": string("yarn"),
    "qwen3.rope.scaling.factor": float32(4),
    "qwen3.rope.scaling.original_context_length": uint32(1024),
  };
  const { longRope, maxContext } = parse(yarn, { architecture: "qwen3" });
  expect(maxContext).toBe(4096);
  expect(longRope?.shortFactor[0]).toBe(1);
  expect(longRope?.longFactor[31]).toBe(4);
  expect(longRope?.magnitude).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
  const more = { ...yarn, "qwen3.rope.scaling.attn_factor": float32(0.5) };
  const halved = parse(more, { architecture: "qwen3" }).longRope;
  expect(halved?.magnitude).toBe((longRope?.magnitude ?? 0) / 2);
});

test("without vocab_size the tokens are counted", () => {
  const tokens = { "tokenizer.ggml.tokens": strings(["a", "b", "c"]) };
  expect(parse({ "llama.vocab_size": undefined, ...tokens }).vocabSize).toBe(3);
});

test("tokens that end an answer are those named and the control tokens known to", () => {
  const config = parse({
    "llama.vocab_size": undefined,
    "tokenizer.ggml.tokens": strings(["a", "</s>", "<|im_end|>", "<|eot_id|>"]),
    "tokenizer.ggml.token_type": array(4, [1, 3, 3, 1].map(uint32)),
    "tokenizer.ggml.eos_token_id": uint32(1),
    "tokenizer.ggml.bos_token_id": uint32(0),
  });
  expect([config.eosTokens, config.bosToken]).toEqual([[1, 2], 0]);
});

test("LongRoPE has its lists from tensors", () => {
  const config = parse(longRope, { architecture: "minicpm", tensors: ropeTensors });
  expect(config.longRope).toMatchObject({
    shortFactor: eight(1.5),
    longFactor: eight(2),
    originalLength: 64,
    alwaysLong: true,
  });
  expect(config.longRope?.magnitude).toBeCloseTo(Math.sqrt(1 + Math.log(2) / Math.log(64)), 12);
});

test.each<[string, readonly GgufTensor[], string, string]>([
  ["no short list", [factors("long", eight(2))], "rope_factors_short.weight", "no such tensor"],
  ["a list too long", [factors("short", [...eight(1), 1])], "rope_factors_short.weight", "F32 [9]"],
  [
    "a list of another type",
    [{ ...factors("short", eight(1)), type: 26 }],
    "rope_factors_short.weight",
    "I32 [8]",
  ],
  ["a factor of 0", [factors("short", eight(1)), factors("long", eight(0))], "rope_factors_long.weight", "0"],
  ["a factor that is no number", [factors("short", eight(Number.NaN))], "rope_factors_short.weight", "NaN"],
])("LongRoPE with %s is refused by name", (_, tensors, tensor, found) => {
  const words = complaint(longRope, { architecture: "minicpm", tensors });
  expect([words[0], words[2]]).toEqual([tensor, found]);
});

test.each<[string, TypedValue | undefined, string]>([
  ["llama.vocab_size", uint32(0), "0"],
  ["llama.vocab_size", uint32(2 ** 31), String(2 ** 31)],
  ["llama.vocab_size", undefined, "nothing"],
  ["llama.embedding_length", float32(64.5), "64.5"],
  ["llama.embedding_length", uint32(2 ** 30), String(2 ** 30)],
  ["llama.embedding_length", uint32(66), "66"],
  ["llama.block_count", uint32(0), "0"],
  ["llama.block_count", { type: 5, bytes: Buffer.alloc(4, 255) }, "-1"],
  ["llama.block_count", undefined, "nothing"],
  ["llama.attention.head_count", uint32(0), "0"],
  ["llama.attention.head_count", array(4, [uint32(4), uint32(4)]), "[4, 4]"],
  ["llama.attention.head_count_kv", uint32(0), "0"],
  ["llama.attention.key_length", uint32(12), "12"],
  ["llama.attention.value_length", uint32(8), "8"],
  ["llama.rope.dimension_count", uint32(8), "8"],
  ["llama.context_length", uint32(0), "0"],
  ["llama.feed_forward_length", string("48"), '"48"'],
  ["llama.attention.layer_norm_rms_epsilon", float32(Number.NaN), "NaN"],
  ["llama.rope.freq_base", float32(Number.POSITIVE_INFINITY), "Infinity"],
  ["llama.logit_scale", float32(8), "8"],
  ["tokenizer.ggml.eos_token_id", uint32(100), "100"],
  ["tokenizer.ggml.bos_token_id", uint32(2 ** 32 - 1), String(2 ** 32 - 1)],
  ["general.architecture", uint32(1), "1"],
])("a file that lies about %s is refused by name", (key, value, found) => {
  const words = complaint({ [key]: value });
  expect([words[0], words[2]]).toEqual([key, found]);
  expect(words[1]).not.toBe("");
});

test("heads that do not divide into kv heads are refused by name", () => {
  expect(complaint({ "llama.attention.head_count_kv": uint32(3) })).toEqual([
    "llama.attention.head_count",
    "a multiple of the 3 kv heads",
    "4",
  ]);
});

test.each<[string, Parameters<typeof parse>]>([
  ["The architecture qwen2", [{ "general.architecture": string("qwen2") }]],
  ["The architecture nothing", [{ "general.architecture": undefined }]],
  ["The architecture __proto__", [{ "general.architecture": string("__proto__") }]],
  ["A GGUF in several files", [{ "split.count": { type: 2, bytes: Buffer.of(2, 0) } }]],
  ["A mixture of experts", [{ "llama.expert_count": uint32(8) }]],
  [
    'RoPE scaling "yarn with a log multiplier"',
    [{ "llama.rope.scaling.type": string("yarn"), "llama.rope.scaling.yarn_log_multiplier": float32(0.1) }],
  ],
  [
    'RoPE scaling "linear"',
    [{ "llama.rope.scaling.type": string("linear"), "llama.rope.scaling.factor": float32(2) }],
  ],
  ['RoPE scaling "llama3', [{}, { tensors: [{ ...factors("short", eight(1)), name: "rope_freqs.weight" }] }]],
  [
    "The tensor blk.0.attn_q.bias",
    [{}, { tensors: [{ ...factors("short", eight(1)), name: "blk.0.attn_q.bias" }] }],
  ],
])("%s is refused as unsupported", (what, of) => {
  expect(() => parse(...of)).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", what: expect.stringContaining(what) }),
  );
});
