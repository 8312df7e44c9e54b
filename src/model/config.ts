/** The model's numbers: one `ModelConfig`, whichever file they come from, checked before anything is built on them. */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import type { KvType, NativeConfig } from "../native/binding.ts";

export interface ModelConfig extends NativeConfig {
  /** As the file names it: `MiniCPMForCausalLM`, `LlamaForCausalLM`, ..., or GGUF's `minicpm`, `llama`, `qwen3`. */
  readonly architecture: string;
  /** Tokens that the model was made for: max_position_embeddings. */
  readonly maxContext: number;
  /** Every head's queries and keys go through an RMSNorm of their own before RoPE, as in Qwen3. */
  readonly qkNorm?: boolean;
  /** Whether the head is the embedding; undefined where the file does not say and the tensors decide. */
  readonly tiedHead?: boolean;
  readonly bosToken?: number;
  /** Tokens that end an answer; may be empty. */
  readonly eosTokens: readonly number[];
  /** `sparse_config` as read, unchecked, where there is one. */
  readonly sparseConfig?: Readonly<Record<string, unknown>>;
}

export type LongRope = NonNullable<NativeConfig["longRope"]>;

/** What RoPE scaling makes of a config's numbers. */
export interface RopeScaling {
  readonly longRope?: LongRope;
  readonly maxContext: number;
}

/** What it makes it from: `maxContext` as the file has it. */
export interface RopeNumbers {
  readonly headDim: number;
  readonly theta: number;
  readonly maxContext: number;
}

/** Limits far above any model, so that a lie is told from a large model before memory is planned. */
export const limits = {
  vocabSize: { least: 1, most: 2 ** 22 },
  hiddenSize: { least: 8, most: 2 ** 17 },
  intermediateSize: { least: 1, most: 2 ** 20 },
  layers: { least: 1, most: 2048 },
  heads: { least: 1, most: 2048 },
  headDim: { least: 8, most: 2048 },
  context: { least: 2, most: 2 ** 27 },
  eps: { least: 0, most: 1 },
  theta: { least: 1, most: 1e12 },
  yarnFactor: { least: 1, most: 1e6 },
  scale: { least: 1e-6, most: 1e6 },
  ropeFactor: { least: 1e-6, most: 1e6 },
} as const;

/** The part of a config that crosses into native code. */
export function nativeConfig(config: ModelConfig): NativeConfig {
  const { vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, headDim } = config;
  const { rmsNormEps, embedScale, residualScale, logitScale, ropeTheta, longRope } = config;
  const sizes = { vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, headDim };
  const scales = { rmsNormEps, embedScale, residualScale, logitScale, ropeTheta };
  return longRope ? { ...sizes, ...scales, longRope } : { ...sizes, ...scales };
}

/**
 * What the forward pass needs of head counts: whole groups, and a head_dim that is a multiple of 8.
 *
 * @throws CheckpointError naming `file` and the first of `names` (the file's own names) that does not fit.
 */
export function checkHeads(
  file: string,
  { heads, kvHeads, headDim }: Pick<ModelConfig, "heads" | "kvHeads" | "headDim">,
  names: { readonly heads: string; readonly headDim: string },
): void {
  if (heads % kvHeads !== 0) {
    throw new CheckpointError(file, names.heads, `a multiple of the ${kvHeads} kv heads`, String(heads));
  }
  if (headDim % 8 !== 0) {
    throw new CheckpointError(file, names.headDim, "a multiple of 8", String(headDim));
  }
}

export const kvTypes: readonly KvType[] = ["f32", "f16", "int8"];

/** @throws UnsupportedError where keys and values of this model cannot be held so. */
export function checkKvType(kvType: KvType, { headDim }: Pick<ModelConfig, "headDim">): void {
  if (kvType !== "int8" || headDim % 32 === 0) return;
  throw new UnsupportedError(
    `kvType "int8" with heads of ${headDim} dimensions`,
    'They have to be a multiple of 32; "f16" holds any.',
  );
}

/**
 * LongRoPE from its lists, arXiv:2402.13753; the magnitude is sqrt(1 + ln(max / original) / ln(original)), which
 * multiplies cos and sin.
 *
 * @param maxContext max_position_embeddings; above `originalLength` the long list is used at every length.
 */
export function longRope(
  shortFactors: readonly number[],
  longFactors: readonly number[],
  originalLength: number,
  maxContext: number,
  magnitude = Math.sqrt(1 + Math.log(maxContext / originalLength) / Math.log(originalLength)),
): LongRope {
  // Float32 as in Hugging Face's code and in GGUF, so that both files give the same tables.
  const [shortFactor, longFactor] = [shortFactors, longFactors].map((list) => list.map(Math.fround)) as [
    number[],
    number[],
  ];
  return { shortFactor, longFactor, originalLength, magnitude, alwaysLong: maxContext > originalLength };
}

/** A RoPE scaling that we do not have. */
export function unsupportedRope(file: string, type: string): UnsupportedError {
  return new UnsupportedError(
    `RoPE scaling "${type}" (in ${file})`,
    "Models without scaling, with longrope and with yarn run; look for one of those.",
  );
}
