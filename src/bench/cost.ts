/**
 * What a piece of work must at least read and compute, by the model's numbers, and how long this machine's limits allow
 * for it. Counted: matrices and the attention; norms, RoPE, softmax, activations and sampling are not.
 */
import { weightElements } from "../model/weight-size.ts";
import type { KvType, MachineLimits, ModelPlan, WeightPlan } from "../native/binding.ts";

/** A model's numbers per token. */
export interface ModelCost {
  /** Elements of the layers' matrices: each is one multiplication and one addition a token. */
  readonly linearParameters: number;
  /** Bytes that native code reads for them once. */
  readonly linearBytes: number;
  /** The same of the head (the embedding, where it is tied). */
  readonly headParameters: number;
  readonly headBytes: number;
  /** Bytes of one position's keys and values, all layers. */
  readonly kvBytes: number;
  /** Operations for one query token and one key position: scores and weighted sum, all layers and heads. */
  readonly attentionFlop: number;
}

/** The least that has to be read, bytes, and computed, float32 operations. */
export interface Work {
  readonly bytes: number;
  readonly flop: number;
}

export type Bound = "memory" | "compute";

/** As native code holds a matrix: GGUF's quantized types are widened to f32 when loaded. */
const heldBytes: Record<WeightPlan["dtype"], number> = { F32: 4, F16: 2, BF16: 2, Q8_0: 4, Q4_0: 4, Q4_1: 4 };

const kvElementBytes: Record<KvType, number> = { f32: 4, f16: 2 };

export function modelCost(
  { config, weights }: Pick<ModelPlan, "config" | "weights">,
  kvType: KvType,
): ModelCost {
  const { layers, heads, kvHeads, headDim } = config;
  const matrices = Object.entries(weights)
    .filter(([name, { shape }]) => name.startsWith("layers.") && shape.length === 2)
    .map(([, weight]) => weight);
  const head = weights.head ?? weights.embed;
  return {
    linearParameters: sum(matrices.map(weightElements)),
    linearBytes: sum(matrices.map(bytes)),
    headParameters: head ? weightElements(head) : 0,
    headBytes: head ? bytes(head) : 0,
    kvBytes: 2 * layers * kvHeads * headDim * kvElementBytes[kvType],
    attentionFlop: 4 * layers * heads * headDim,
  };
}

/** Reading `tokens` behind `depth` held ones: weights once, the head for the last token only. */
export function prefillWork(cost: ModelCost, { tokens, depth }: { tokens: number; depth: number }): Work {
  return {
    bytes: cost.linearBytes + cost.headBytes + cost.kvBytes * (depth + tokens),
    flop:
      2 * (cost.linearParameters * tokens + cost.headParameters) +
      cost.attentionFlop * attended(tokens, depth),
  };
}

/** `steps` steps of `sequences` sequences that hold `depth` tokens each: weights once a step for all of them. */
export function decodeWork(
  cost: ModelCost,
  { steps, depth, sequences }: { steps: number; depth: number; sequences: number },
): Work {
  const pairs = sequences * attended(steps, depth);
  return {
    bytes: steps * (cost.linearBytes + cost.headBytes) + cost.kvBytes * pairs,
    flop: 2 * steps * sequences * (cost.linearParameters + cost.headParameters) + cost.attentionFlop * pairs,
  };
}

/** Both works, one after the other. */
export function together(first: Work, second: Work): Work {
  return { bytes: first.bytes + second.bytes, flop: first.flop + second.flop };
}

/** Seconds that `work` takes at the limits, and which of them it is bound by: the roofline (doi:10.1145/1498765.1498785). */
export function leastSeconds(
  { bytes, flop }: Work,
  { bytesPerSecond, flopsPerSecond }: MachineLimits,
): { readonly seconds: number; readonly bound: Bound } {
  const memory = bytes / bytesPerSecond;
  const compute = flop / flopsPerSecond;
  return memory >= compute ? { seconds: memory, bound: "memory" } : { seconds: compute, bound: "compute" };
}

/** Pairs of query and key when `tokens` come behind `depth`: each attends to all before it and to itself. */
function attended(tokens: number, depth: number): number {
  return tokens * depth + (tokens * (tokens + 1)) / 2;
}

function bytes(weight: WeightPlan): number {
  return weightElements(weight) * heldBytes[weight.dtype];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
