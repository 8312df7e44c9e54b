import { expect, test } from "vitest";
import { UnsupportedError } from "../../src/errors.ts";
import { chooseSparse } from "../../src/model/sparse-rule.ts";

const card = { initBlocks: 1, localBlocks: 32, topK: 64, denseLength: 8192 };
const small = { hiddenSize: 64, layers: 2, heads: 4, kvHeads: 2, maxContext: 1024 };
const of8B = { hiddenSize: 4096, layers: 32, heads: 32, kvHeads: 2, maxContext: 32768 };
const of05B = { hiddenSize: 1024, layers: 24, heads: 16, kvHeads: 2, maxContext: 32768 };

test("MiniCPM4-8B runs sparse though its config.json does not say so, each generation by its own rule", () => {
  expect(chooseSparse("config.json", of8B, "auto").rule).toEqual({
    ...card,
    generation: "v4.0",
    normalizer: "exact",
  });
  expect(chooseSparse("config.json", { ...of8B, maxContext: 65536 }, "auto").rule).toEqual({
    ...card,
    generation: "v4.1",
    normalizer: "coarse",
  });
});

test("the 0.5B and unknown models run dense, unless asked, and are then told to be untrained", () => {
  for (const config of [of05B, small]) {
    expect(chooseSparse("config.json", config, "auto")).toEqual({ text: "none" });
    const { rule, text, notice } = chooseSparse("config.json", config, "on");
    expect(rule).toMatchObject(card);
    expect(text).toMatch(/untrained$/);
    expect(notice).toMatch(/was not trained for it/);
  }
});

test("a sparse_config is read key by key, those it lacks from the model's card; unknown keys are ignored", () => {
  const sparseConfig = {
    window_size: 256,
    topk: 8,
    dense_len: -1,
    rule: "v4.1",
    lse: "coarse",
    new_key: [1],
  };
  const { rule, text, notice } = chooseSparse("config.json", { ...small, sparseConfig }, "auto");
  expect(rule).toEqual({
    initBlocks: 1,
    localBlocks: 4,
    topK: 8,
    denseLength: 0,
    generation: "v4.1",
    normalizer: "coarse",
  });
  expect(text).toBe(
    "InfLLM v2 v4.1, coarse normalizer: 12 blocks of 64 keys (1 first, 4 near) from 0 tokens on",
  );
  expect(notice).toBeUndefined();
});

test("off is off", () => {
  expect(chooseSparse("config.json", { ...of8B, sparseConfig: { topk: "many" } }, "off")).toEqual({
    text: "off",
  });
});

test("what no kernel does runs dense with a notice, and is refused where it was asked for", () => {
  const config = { ...small, sparseConfig: { kernel_size: 64, use_nope: true } };
  const { rule, notice } = chooseSparse("config.json", config, "auto");
  expect(rule).toBeUndefined();
  expect(notice).toMatch(
    /kernel_size 64 \(only 32\), use_nope \(in config\.json\) is not supported: the model runs dense\.$/,
  );
  expect(() => chooseSparse("config.json", config, "on")).toThrow(UnsupportedError);
});

test.each([
  [{ topk: 0 }, "sparse_config.topk"],
  [{ topk: 1, rule: "v4.1" }, "sparse_config.topk"],
  [{ topk: 2.5 }, "sparse_config.topk"],
  [{ window_size: 100 }, "sparse_config.window_size"],
  [{ dense_len: -2 }, "sparse_config.dense_len"],
  [{ rule: "v5" }, "sparse_config.rule"],
  [{ lse: 1 }, "sparse_config.lse"],
  [{ use_nope: "no" }, "sparse_config.use_nope"],
])("%j is refused by name", (sparseConfig, field) => {
  expect(() => chooseSparse("config.json", { ...small, sparseConfig }, "auto")).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", file: "config.json", tensor: field }),
  );
});
