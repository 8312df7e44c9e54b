/**
 * What a piece of work must at least read and compute, by the model's numbers, and how long this machine's limits allow
 * for it. Counted: matrices and the attention; norms, RoPE, softmax, activations and sampling are not.
 */
import { isArrayType, repackedArrayBytes } from "../model/array-types.ts";
import { isQuantType, repackedBytes } from "../model/quant-types.ts";
import { packedBytes, weightElements } from "../model/weight-size.ts";
import type { KvType, MachineLimits, ModelPlan, Packing, SparseRule, WeightPlan } from "../native/binding.ts";

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
  /** The linears multiply int8, not float32. */
  readonly int8?: boolean;
  /** Operations for one query token and one key position: scores and weighted sum, all layers and heads. */
  readonly attentionFlop: number;
  /** Which keys a query attends to; absent: all before it. */
  readonly sparse?: SparseRule | undefined;
}

/** The least that has to be read, bytes, and computed, operations. */
export interface Work {
  readonly bytes: number;
  /** Of float32. */
  readonly flop: number;
  /** Of int8; absent: none. */
  readonly int8Op?: number;
}

export type Bound = "memory" | "compute";

/** Tokens of a KV block, and of a block of sparse attention. */
const blockTokens = 64;

/** A number as native code holds it. */
const heldBytes: Readonly<Partial<Record<WeightPlan["dtype"], number>>> = { F16: 2, BF16: 2 };

/** Of `headDim` numbers; int8 ones have a scale. */
const kvHeadBytes: Record<KvType, (headDim: number) => number> = {
  f32: (headDim) => 4 * headDim,
  f16: (headDim) => 2 * headDim,
  int8: (headDim) => headDim + 4,
};

export function modelCost(
  { config, weights, pack, activations }: Pick<ModelPlan, "config" | "weights" | "pack" | "activations">,
  kvType: KvType,
): ModelCost {
  const { layers, heads, kvHeads, headDim } = config;
  const matrices = Object.entries(weights)
    .filter(([name, { shape }]) => name.startsWith("layers.") && shape.length === 2)
    .map(([, weight]) => weight);
  const head = weights.head ?? weights.embed;
  return {
    linearParameters: sum(matrices.map(weightElements)),
    linearBytes: sum(matrices.map((weight) => bytes(weight, pack))),
    headParameters: head ? weightElements(head) : 0,
    headBytes: head ? bytes(head, pack && { ...pack, format: "w8" }) : 0,
    ...(activations === "int8" && { int8: true }),
    kvBytes: 2 * layers * kvHeads * kvHeadBytes[kvType](headDim),
    attentionFlop: 4 * layers * heads * headDim,
    ...(config.sparse && { sparse: config.sparse }),
  };
}

/** Reading `tokens` behind `depth` held ones: weights once, the head for the last token only. */
export function prefillWork(cost: ModelCost, { tokens, depth }: { tokens: number; depth: number }): Work {
  return {
    bytes: cost.linearBytes + cost.headBytes + cost.kvBytes * (depth + tokens),
    ...operations(
      cost,
      2 * (cost.linearParameters * tokens + cost.headParameters),
      attention(cost, tokens, depth).flop,
    ),
  };
}

/** `steps` steps of `sequences` sequences that hold `depth` tokens each: weights once a step for all of them. */
export function decodeWork(
  cost: ModelCost,
  { steps, depth, sequences }: { steps: number; depth: number; sequences: number },
): Work {
  const { bytes, flop } = attention(cost, steps, depth);
  return {
    bytes: steps * (cost.linearBytes + cost.headBytes) + sequences * bytes,
    ...operations(
      cost,
      2 * steps * sequences * (cost.linearParameters + cost.headParameters),
      sequences * flop,
    ),
  };
}

/** Operations of linears and attention, each by what it computes with. */
function operations(cost: ModelCost, linears: number, attention: number): Omit<Work, "bytes"> {
  return cost.int8 ? { flop: attention, int8Op: linears } : { flop: linears + attention };
}

/** Both works, one after the other. */
export function together(first: Work, second: Work): Work {
  const int8Op = (first.int8Op ?? 0) + (second.int8Op ?? 0);
  return {
    bytes: first.bytes + second.bytes,
    flop: first.flop + second.flop,
    ...(int8Op > 0 && { int8Op }),
  };
}

/** Seconds that `work` takes at the limits, and which of them it is bound by: the roofline (doi:10.1145/1498765.1498785). */
export function leastSeconds(
  { bytes, flop, int8Op = 0 }: Work,
  { bytesPerSecond, flopsPerSecond, int8OpsPerSecond }: MachineLimits,
): { readonly seconds: number; readonly bound: Bound } {
  const memory = bytes / bytesPerSecond;
  const compute = flop / flopsPerSecond + int8Op / int8OpsPerSecond;
  return memory >= compute ? { seconds: memory, bound: "memory" } : { seconds: compute, bound: "compute" };
}

/**
 * The attention of `tokens` that come behind `depth`, where each reads what it attends to for itself: all keys before it
 * and its own, or the blocks of the sparse rule and the pooled keys that are scored for them.
 */
function attention(
  { kvBytes, attentionFlop, sparse }: ModelCost,
  tokens: number,
  depth: number,
): { readonly bytes: number; readonly flop: number } {
  let keys = 0;
  let pooledKeys = 0;
  for (let position = depth; position < depth + tokens; ++position) {
    const blocks = Math.floor(position / blockTokens);
    const most = sparse ? sparse.topK + sparse.localBlocks : Number.POSITIVE_INFINITY;
    if (!sparse || position + 1 < sparse.denseLength || blocks < most) {
      keys += position + 1;
    } else {
      keys += (most - 1) * blockTokens + (position % blockTokens) + 1;
      pooledKeys += (position + 1) / 16;
      if (sparse.normalizer === "coarse") pooledKeys += (position + 1) / 64;
    }
  }
  // A pooled key has no value, and one product.
  return { bytes: kvBytes * (keys + pooledKeys / 2), flop: attentionFlop * (keys + pooledKeys / 2) };
}

function bytes(weight: WeightPlan, pack: Packing | undefined): number {
  const { dtype, shape, ternary } = weight;
  if (isArrayType(dtype)) return repackedArrayBytes({ ...weight, dtype });
  if (ternary) return packedBytes(shape, { format: "w2", group: ternary });
  if (pack) return packedBytes(shape, pack);
  if (isQuantType(dtype)) return repackedBytes(dtype, shape);
  return weightElements(weight) * (heldBytes[dtype] ?? 4);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
