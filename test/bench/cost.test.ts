import { expect, test } from "vitest";
import {
  decodeWork,
  leastSeconds,
  type ModelCost,
  modelCost,
  prefillWork,
  together,
} from "../../src/bench/cost.ts";
import type { ModelPlan, WeightPlan } from "../../src/native/binding.ts";

const weight = (dtype: WeightPlan["dtype"], ...shape: number[]): WeightPlan => ({
  file: 0,
  offset: 0,
  dtype,
  shape,
});

/** 2 layers, hidden 8, 2 heads of 8 over 1 KV head, intermediate 12, vocabulary 20. */
const plan: Pick<ModelPlan, "config" | "weights"> = {
  config: {
    vocabSize: 20,
    hiddenSize: 8,
    intermediateSize: 12,
    layers: 2,
    heads: 2,
    kvHeads: 1,
    headDim: 8,
    rmsNormEps: 1e-5,
    embedScale: 1,
    residualScale: 1,
    logitScale: 1,
    ropeTheta: 10000,
  },
  weights: {
    embed: weight("F16", 20, 8),
    norm: weight("F32", 8),
    ...Object.fromEntries(
      [0, 1].flatMap((layer) => [
        [`layers.${layer}.attn.norm`, weight("F32", 8)],
        [`layers.${layer}.attn.q`, weight("BF16", 16, 8)],
        [`layers.${layer}.attn.k`, weight("BF16", 8, 8)],
        [`layers.${layer}.attn.v`, weight("BF16", 8, 8)],
        [`layers.${layer}.attn.o`, weight("BF16", 8, 16)],
        [`layers.${layer}.mlp.norm`, weight("F32", 8)],
        [`layers.${layer}.mlp.gate`, weight("BF16", 12, 8)],
        [`layers.${layer}.mlp.up`, weight("BF16", 12, 8)],
        [`layers.${layer}.mlp.down`, weight("BF16", 8, 12)],
      ]),
    ),
  },
};

// A layer: 128 + 64 + 64 + 128 + 96 + 96 + 96 = 672 elements.
const cost: ModelCost = {
  linearParameters: 1344,
  linearBytes: 2688,
  headParameters: 160,
  headBytes: 320,
  kvBytes: 2 * 2 * 8 * 2,
  attentionFlop: 4 * 2 * 16,
};

test("a model's cost counts its layers' matrices, its head and its KV heads", () => {
  expect(modelCost(plan, "f16")).toEqual(cost);
  expect(modelCost(plan, "f32").kvBytes).toBe(128);
});

test("the head is the tensor of that name where there is one", () => {
  const untied = { ...plan, weights: { ...plan.weights, head: weight("F32", 20, 8) } };
  expect(modelCost(untied, "f16")).toMatchObject({ headParameters: 160, headBytes: 640 });
});

test("quantized matrices count as the packed ones that they are loaded as", () => {
  const quantized = { ...plan, weights: { ...plan.weights, "layers.0.mlp.up": weight("Q4_1", 12, 32) } };
  // A tile of 16 rows: a line of scales and minimums, 4 bits a number.
  expect(modelCost(quantized, "f16").linearBytes).toBe(2688 - 2 * 96 + 64 + 256);
});

test("a prompt reads weights once and each of its tokens attends to those before it and itself", () => {
  // Three tokens behind ten: 11 + 12 + 13 = 36 pairs.
  expect(prefillWork(cost, { tokens: 3, depth: 10 })).toEqual({
    bytes: 2688 + 320 + 64 * 13,
    flop: 2 * (1344 * 3 + 160) + 128 * 36,
  });
});

test("steps of several sequences read weights once a step and each its own keys and values", () => {
  // Two steps behind ten, four times: 4 * (11 + 12) = 92 pairs.
  expect(decodeWork(cost, { steps: 2, depth: 10, sequences: 4 })).toEqual({
    bytes: 2 * (2688 + 320) + 64 * 92,
    flop: 2 * 8 * (1344 + 160) + 128 * 92,
  });
});

test("works add up", () => {
  expect(together({ bytes: 1, flop: 2 }, { bytes: 10, flop: 20 })).toEqual({ bytes: 11, flop: 22 });
});

test("the least time is that of the tighter limit", () => {
  const limits = { bytesPerSecond: 100, flopsPerSecond: 1000, int8OpsPerSecond: 4000 };
  expect(leastSeconds({ bytes: 200, flop: 1000 }, limits)).toEqual({ seconds: 2, bound: "memory" });
  expect(leastSeconds({ bytes: 200, flop: 5000 }, limits)).toEqual({ seconds: 5, bound: "compute" });
});

test("packed weights cost the bytes of their tiles, the head those of w8", () => {
  // 16 rows x 32 columns in groups of 32: 32 bytes of scales fill a line of 64.
  const packed = {
    ...plan,
    weights: { embed: weight("F32", 20, 32), "layers.0.mlp.up": weight("F32", 12, 32) },
    pack: { format: "w4", group: 32 },
  } as const;
  expect(modelCost(packed, "f16")).toMatchObject({
    linearBytes: 64 + (16 * 32) / 2,
    headBytes: 2 * (64 + 16 * 32),
  });
});

test("with int8 activations the linears' operations are held against the int8 limit, the attention's are not", () => {
  const int8 = { ...cost, int8: true };
  const work = prefillWork(int8, { tokens: 3, depth: 10 });
  expect(work).toMatchObject({ flop: 128 * 36, int8Op: 2 * (1344 * 3 + 160) });
  const limits = { bytesPerSecond: 1e9, flopsPerSecond: 128 * 36, int8OpsPerSecond: 1344 * 3 + 160 };
  expect(leastSeconds(work, limits)).toEqual({ seconds: 3, bound: "compute" });
  expect(together(work, work).int8Op).toBe(2 * (work.int8Op as number));
});

test("no steps cost nothing", () => {
  expect(decodeWork(cost, { steps: 0, depth: 10, sequences: 1 })).toEqual({ bytes: 0, flop: 0 });
});

test("with sparse attention a query far behind reads its blocks and the pooled keys before it", () => {
  const sparse = {
    initBlocks: 1,
    localBlocks: 2,
    topK: 4,
    denseLength: 500,
    generation: "v4.1",
    normalizer: "exact",
  } as const;
  const far = 64 * 20 + 9; // in block 20: 5 whole blocks, and 10 keys of its own
  const keys = 5 * 64 + 10 + (far + 1) / 16 / 2;
  const at = (depth: number, cost: ModelCost) => decodeWork(cost, { steps: 1, depth, sequences: 2 });
  const sparseCost = { ...cost, sparse };
  expect(at(far, sparseCost).bytes).toBeCloseTo(2688 + 320 + 2 * cost.kvBytes * keys);
  expect(at(far, sparseCost).flop).toBeCloseTo(2 * (2 * (1344 + 160) + cost.attentionFlop * keys));
  expect(at(300, sparseCost)).toEqual(at(300, cost));
  expect(at(498, sparseCost)).toEqual(at(498, cost));
  expect(at(499, sparseCost).bytes).toBeLessThan(at(499, cost).bytes);
});
