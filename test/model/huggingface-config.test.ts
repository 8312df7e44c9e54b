import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { CheckpointError } from "../../src/errors.ts";
import { nativeConfig } from "../../src/model/config.ts";
import { parseGenerationConfig, parseHuggingFaceConfig } from "../../src/model/huggingface-config.ts";
import { sharedPath, testNeeding } from "../needs.ts";

const minicpm = {
  architectures: ["MiniCPMForCausalLM"],
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 5000,
  tie_word_embeddings: false,
  scale_emb: 12,
  scale_depth: 1.4,
  dim_model_base: 16,
  bos_token_id: 1,
  eos_token_id: [2, 40],
};
const half = (value: number) => Array.from({ length: 8 }, () => value);
const longrope = {
  type: "longrope",
  short_factor: half(1.1),
  long_factor: half(2),
  original_max_position_embeddings: 64,
};

const parse = (change: object = {}) => parseHuggingFaceConfig("config.json", { ...minicpm, ...change });

/** The facts of the CheckpointError that parsing throws. */
function complaint(change: object): string[] {
  try {
    parse(change);
  } catch (error) {
    const { code, file, tensor, expected, found } = error as CheckpointError;
    expect([code, file]).toEqual(["CHECKPOINT", "config.json"]);
    return [tensor, expected, found];
  }
  throw new Error("nothing was thrown");
}

test.each(["MiniCPMForCausalLM", "MiniCPM4ForCausalLM"])("%s has its three scales worked out", (name) => {
  const config = parse({ architectures: [name] });
  expect(config).toEqual({
    architecture: name,
    vocabSize: 100,
    hiddenSize: 64,
    intermediateSize: 48,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    rmsNormEps: 1e-5,
    embedScale: 12,
    residualScale: 0.7,
    logitScale: 0.25,
    ropeTheta: 5000,
    maxContext: 128,
    tiedHead: false,
    bosToken: 1,
    eosTokens: [2, 40],
  });
});

test("LlamaForCausalLM has all scales 1, whatever else its config says", () => {
  const config = parse({ architectures: ["LlamaForCausalLM"] });
  expect(config).toMatchObject({ embedScale: 1, residualScale: 1, logitScale: 1 });
});

test("Qwen3ForCausalLM has qk-norm, scales of 1, and head_dim 128 where the file does not say", () => {
  const config = parse({
    architectures: ["Qwen3ForCausalLM"],
    rope_theta: 1_000_000,
    use_sliding_window: false,
  });
  expect(config).toMatchObject({
    qkNorm: true,
    headDim: 128,
    embedScale: 1,
    residualScale: 1,
    logitScale: 1,
  });
  expect(config.ropeTheta).toBe(1_000_000);
  expect(parse({ architectures: ["Qwen3ForCausalLM"], head_dim: 24 }).headDim).toBe(24);
  expect(nativeConfig(config)).not.toHaveProperty("qkNorm");
  expect(parse()).not.toHaveProperty("qkNorm");
});

test("absent fields count as in the model's class, dim_model_base as in MiniCPM4", () => {
  const { scale_emb, scale_depth, dim_model_base, rope_theta, rms_norm_eps, ...rest } = minicpm;
  const { num_key_value_heads, tie_word_embeddings, bos_token_id, eos_token_id, ...bare } = rest;
  const config = parseHuggingFaceConfig("config.json", bare);
  expect(config).toMatchObject({
    embedScale: 1,
    residualScale: 0.5,
    logitScale: 4,
    ropeTheta: 10000,
    kvHeads: 4,
  });
  expect(config).toMatchObject({ rmsNormEps: 1e-6, eosTokens: [] });
  expect([config.tiedHead, config.bosToken, config.longRope, config.sparseConfig]).toEqual(
    Array(4).fill(undefined),
  );
});

test("null counts as absent, and one eos token is a list of one", () => {
  const config = parse({ rope_scaling: null, head_dim: null, tie_word_embeddings: null, eos_token_id: 7 });
  expect(config).toMatchObject({ headDim: 16, eosTokens: [7] });
  expect(config.tiedHead).toBeUndefined();
});

test("sparse_config is kept as read", () => {
  const sparse = { topk: 64, dense_len: -1, anything: [1] };
  expect(parse({ sparse_config: sparse }).sparseConfig).toEqual(sparse);
});

test("only numbers of the forward pass cross into native code", () => {
  const native = nativeConfig(parse({ rope_scaling: longrope }));
  expect(Object.keys(native)).toHaveLength(13);
  expect(native).not.toHaveProperty("eosTokens");
  expect(nativeConfig(parse())).not.toHaveProperty("longRope");
});

describe("RoPE", () => {
  test.each([{ rope_type: "longrope" }, { type: "longrope" }])(
    "LongRoPE by %o has its lists in float32",
    (named) => {
      const { type, ...rest } = longrope;
      const { longRope } = parse({ rope_scaling: { ...rest, ...named } });
      expect(longRope).toMatchObject({ originalLength: 64, alwaysLong: true, longFactor: half(2) });
      expect(longRope?.shortFactor).toEqual(half(Math.fround(1.1)));
      expect(longRope?.magnitude).toBeCloseTo(Math.sqrt(1 + Math.log(2) / Math.log(64)), 12);
    },
  );

  test("the long list waits for the capacity where the maximum is the original length", () => {
    const scaling = { ...longrope, original_max_position_embeddings: 128 };
    expect(parse({ rope_scaling: scaling }).longRope).toMatchObject({ alwaysLong: false, magnitude: 1 });
  });

  test("the original length may stand beside rope_scaling", () => {
    const { original_max_position_embeddings, ...scaling } = longrope;
    const config = parse({ rope_scaling: scaling, original_max_position_embeddings: 32 });
    expect(config.longRope?.originalLength).toBe(32);
  });

  test("rope_parameters, the newer name, brings theta too", () => {
    const config = parse({ rope_parameters: { rope_type: "default", rope_theta: 123 } });
    expect([config.ropeTheta, config.longRope]).toEqual([123, undefined]);
  });

  test.each(["linear", "dynamic", "llama3"])("%s scaling is refused, not ignored", (type) => {
    expect(() => parse({ rope_scaling: { rope_type: type, factor: 2 } })).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining(type) }),
    );
  });

  const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 1024 };

  test("YaRN is one list for all lengths, and the context that its factor makes", () => {
    const { longRope, maxContext } = parse({ head_dim: 64, rope_scaling: yarn });
    expect(longRope?.shortFactor).toEqual(longRope?.longFactor);
    expect(longRope?.shortFactor).toHaveLength(32);
    // 32 turns within 1,024 tokens are at pair 64 ln(1024 / (64 pi)) / (2 ln 5000) = 6.1, one turn at pair 19.1.
    expect(longRope?.shortFactor.slice(0, 7)).toEqual(Array(7).fill(1));
    expect(longRope?.shortFactor[13]).toBeCloseTo(1 / (1 / 2 / 4 + 1 / 2), 6);
    expect(longRope?.shortFactor.slice(20)).toEqual(Array(12).fill(4));
    expect(longRope?.magnitude).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
    expect([maxContext, longRope?.originalLength, longRope?.alwaysLong]).toEqual([4096, 4096, false]);
  });

  test("YaRN's own numbers count where they are given", () => {
    const scaling = { ...yarn, attention_factor: 1.5, beta_fast: 8, beta_slow: 8, truncate: true };
    const { longRope } = parse({ head_dim: 64, rope_scaling: scaling });
    expect(longRope?.magnitude).toBe(1.5);
    expect(new Set(longRope?.shortFactor).size).toBeLessThan(4);
  });

  test.each([{ mscale: 1 }, { mscale_all_dim: 0.7 }, { truncate: false }])(
    "YaRN with %o is refused",
    (more) => {
      expect(() => parse({ rope_scaling: { ...yarn, ...more } })).toThrow(
        expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining("yarn with") }),
      );
    },
  );

  test("YaRN without a factor is refused by name", () => {
    expect(complaint({ rope_scaling: { ...yarn, factor: undefined } })[0]).toBe("rope_scaling.factor");
    expect(complaint({ rope_scaling: { ...yarn, factor: 0.5 } })[0]).toBe("rope_scaling.factor");
  });

  test.each([
    ["a short list", { short_factor: half(1).slice(1) }, "short_factor", "7 of them"],
    ["a list of texts", { long_factor: half(1).map(String) }, "long_factor", '"1"'],
    ["a factor of 0", { long_factor: half(0) }, "long_factor", "0"],
    ["no lists", { short_factor: undefined }, "short_factor", "nothing"],
    [
      "an original length of 1",
      { original_max_position_embeddings: 1 },
      "original_max_position_embeddings",
      "1",
    ],
  ])("LongRoPE with %s is refused", (_, change, field, found) => {
    const words = complaint({ rope_scaling: { ...longrope, ...change } });
    expect([words[0], words[2]]).toEqual([`rope_scaling.${field}`, found]);
  });
});

test.each<[string, unknown]>([
  ["vocab_size", 0],
  ["vocab_size", -5],
  ["vocab_size", 1e12],
  ["vocab_size", "100"],
  ["hidden_size", 64.5],
  ["hidden_size", Number.NaN],
  ["hidden_size", 65],
  ["num_hidden_layers", 0],
  ["num_hidden_layers", 1e9],
  ["num_attention_heads", 0],
  ["num_key_value_heads", 0],
  ["head_dim", 12],
  ["head_dim", 4],
  ["intermediate_size", undefined],
  ["max_position_embeddings", 2 ** 40],
  ["max_position_embeddings", undefined],
  ["rms_norm_eps", -1],
  ["rms_norm_eps", Number.POSITIVE_INFINITY],
  ["rope_theta", 0],
  ["scale_emb", 0],
  ["scale_depth", Number.NaN],
  ["dim_model_base", -1],
  ["eos_token_id", 100],
  ["eos_token_id", [2, "40"]],
  ["bos_token_id", -1],
  ["tie_word_embeddings", "yes"],
  ["sparse_config", [1]],
  ["rope_scaling", "longrope"],
  ["architectures", []],
  ["architectures", undefined],
])("a config that lies about %s (%s) is refused by name", (field, value) => {
  const [named, expected, found] = complaint({ [field]: value });
  expect(named).toBe(field);
  expect([expected, found]).not.toContain("");
});

test("a hidden size that the heads do not divide is refused by name, but not where head_dim is given", () => {
  const change = { num_attention_heads: 6, num_key_value_heads: 2 };
  expect(complaint(change)).toEqual(["hidden_size", "a multiple of the 6 heads", "64"]);
  expect(parse({ ...change, head_dim: 24 })).toMatchObject({ heads: 6, headDim: 24 });
});

test("heads that do not divide into kv heads are refused by name", () => {
  expect(complaint({ num_key_value_heads: 3 })).toEqual([
    "num_attention_heads",
    "a multiple of the 3 kv heads",
    "4",
  ]);
});

test.each<[object, string]>([
  [{ architectures: ["Qwen3MoeForCausalLM"] }, "Qwen3MoeForCausalLM"],
  [{ attention_bias: true }, "attention_bias"],
  [{ mlp_bias: true }, "mlp_bias"],
  [{ hidden_act: "gelu" }, "gelu"],
  [{ num_experts: 8 }, "num_experts"],
  [{ use_sliding_window: true }, "use_sliding_window"],
])("a model with %o is refused as unsupported", (change, named) => {
  expect(() => parse(change)).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining(named) }),
  );
});

test.each([null, 3, "text", [1], true])("%o is no config", (json) => {
  expect(() => parseHuggingFaceConfig("config.json", json)).toThrow(
    /config\.json: expected a JSON object, found/,
  );
});

const published = sharedPath("data/tokenizers/MiniCPM4-0.5B.config.json");

testNeeding([published])("MiniCPM4-0.5B's config is read", () => {
  const config = parseHuggingFaceConfig(published, JSON.parse(readFileSync(published, "utf8")));
  expect(config).toMatchObject({
    layers: 24,
    headDim: 64,
    tiedHead: true,
    logitScale: 0.25,
    maxContext: 32768,
  });
  expect(config.residualScale).toBeCloseTo(0.285774, 6);
  expect(config.longRope).toMatchObject({ originalLength: 32768, magnitude: 1, alwaysLong: false });
  expect(config.longRope?.longFactor).toHaveLength(32);
});

describe("generation_config.json", () => {
  const generation = (json: unknown) => parseGenerationConfig("generation_config.json", json, 100);

  test("sampling defaults are read, absent ones stay absent", () => {
    const json = {
      do_sample: true,
      temperature: 0.8,
      top_p: 0.7,
      top_k: 20,
      eos_token_id: [2, 40],
      pad_token_id: 2,
    };
    expect(generation(json)).toEqual({
      doSample: true,
      temperature: 0.8,
      topP: 0.7,
      topK: 20,
      eosTokens: [2, 40],
    });
    expect(generation({})).toEqual({});
  });

  test.each<[string, unknown]>([
    ["temperature", -1],
    ["temperature", "hot"],
    ["top_p", 1.5],
    ["top_k", -1],
    ["min_p", 2],
    ["repetition_penalty", 0],
    ["max_new_tokens", 0],
    ["eos_token_id", 100],
    ["do_sample", 1],
  ])("%s cannot be %s", (field, value) => {
    expect(() => generation({ [field]: value })).toThrow(
      expect.objectContaining({ code: "CHECKPOINT", tensor: field }),
    );
  });
});
