/** What native code is told of a model: numbers, files, where each tensor is, how it is to run. */

/** GGUF's quantized types: blocks of 32 or 256 numbers of a row (kernels/quant_blocks.h). */
export type QuantType =
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q8_0"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "TQ1_0"
  | "TQ2_0";

/** Matrices in tensors for integers, scales and zero points: of GPTQ, AWQ and CPM.cu's Marlin (kernels/quant_arrays.h). */
export type ArrayType = "GPTQ4" | "GPTQ8" | "AWQ4" | "MARLIN4";

/** Where a tensor begins. */
export interface TensorPlace {
  /** Index into `ModelPlan.files`. */
  readonly file: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
}

/** What an {@link ArrayType} has beside its integers. */
export interface ArrayParts {
  /** Of the tensors: more than the matrix has where several lie in one. */
  readonly rows: number;
  /** Where the matrix begins there, a multiple of 16. */
  readonly firstRow: number;
  /** Columns that share a scale: a multiple of 32, or as many as there are. */
  readonly group: number;
  readonly scales: TensorPlace;
  /** Scales are bfloat16, not float16: each counts as the float16 next to it. */
  readonly bf16Scales?: boolean;
  /** `added` to each as it is stored. Absent: all are 2^(bits - 1). */
  readonly zeroPoints?: TensorPlace & { readonly added: 0 | 1 };
  /** Every zero point is 2^(bits - 1), or loading ends with a CheckpointError. */
  readonly symmetric: boolean;
  /** Int32, the group of each column, where groups are not neighbours (GPTQ's act-order). */
  readonly columnGroups?: TensorPlace;
}

/** A tensor in a model file: where its bytes are and what they are. */
export interface WeightPlan extends TensorPlace {
  readonly dtype: "F32" | "F16" | "BF16" | QuantType | ArrayType | Uppercase<PackFormat>;
  /** Of an {@link ArrayType}, whose integers are at `offset`. */
  readonly arrays?: ArrayParts;
  /**
   * Its float numbers look ternary: so many columns of a row share a scale. Packed as w2 where all are, nothing rounded;
   * otherwise it stays as it is.
   */
  readonly ternary?: Packing["group"];
  /** Columns that share a scale; of W8, W4 and W2, which are packed (kernels/packed.h) and used as they lie. */
  readonly group?: Packing["group"];
  /** `[out, in]` for matrices, `[length]` for vectors. */
  readonly shape: readonly number[];
  /**
   * Rows are stored in interleaved RoPE pairs, for this many heads (GGUF's `llama` and `minicpm` q and k): per head,
   * row 2i is ours i and row 2i+1 is ours i + head_dim / 2. Undone at load.
   */
  readonly interleavedHeads?: number;
}

/**
 * The model's numbers as the forward pass uses them; scales are already worked out from scale_emb, scale_depth and
 * dim_model_base, so that a plain Llama has all scales 1.
 */
export interface NativeConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rmsNormEps: number;
  /** Multiplies embeddings: scale_emb. */
  readonly embedScale: number;
  /** Multiplies every residual branch: scale_depth / sqrt(layers). */
  readonly residualScale: number;
  /** Multiplies logits: dim_model_base / hidden_size. */
  readonly logitScale: number;
  readonly ropeTheta: number;
  /**
   * LongRoPE, or absent: lists of headDim / 2; `long` serves sequences whose capacity exceeds `originalLength`. YaRN is
   * two lists that are the same.
   */
  readonly longRope?: {
    readonly shortFactor: readonly number[];
    readonly longFactor: readonly number[];
    readonly originalLength: number;
    /** Multiplies cos and sin: sqrt(1 + ln(max / original) / ln(original)). */
    readonly magnitude: number;
    /** Use the long list always, because max_position_embeddings exceeds originalLength. */
    readonly alwaysLong: boolean;
  };
  /** Which blocks of 64 keys queries attend to; absent: all. */
  readonly sparse?: SparseRule | undefined;
}

/** InfLLM v2, as kernels/sparse_rule.h defines it; counts are of blocks of 64 keys. */
export interface SparseRule {
  readonly initBlocks: number;
  readonly localBlocks: number;
  readonly topK: number;
  /** A query with fewer tokens up to and with itself attends to all. */
  readonly denseLength: number;
  readonly generation: "v4.0" | "v4.1";
  readonly normalizer: "exact" | "coarse";
}

/** `cuda:N` is the Nth device of the CUDA plug-in (cuda.ts). */
export type NativeDevice = "cpu" | "reference" | `cuda:${number}`;
/** "int8" has one scale a key and head, and needs a headDim that is a multiple of 32 (kernels/kv_layout.h). */
export type KvType = "f32" | "f16" | "int8";

/** Weights as integers with a scale for each group: 8 or 4 bits, or 2 for ternary ones (kernels/packed.h). */
export type PackFormat = "w8" | "w4" | "w2";

/** How matrices are rounded: while they are loaded, or before, in a packed folder. Head and embedding are w8 whatever the format. */
export interface Packing {
  readonly format: PackFormat;
  /** Columns that share a scale. Every matrix has a multiple of 32 columns. */
  readonly group: 32 | 64 | 128;
}

/**
 * Everything native code needs to load a model. Weight names: `embed`, `head` (absent when tied), `norm`,
 * `layers.N.attn.{norm,q,k,v,o}`, `layers.N.attn.{q_norm,k_norm}` (only with qk-norm), `layers.N.mlp.{norm,gate,up,down}`.
 */
export interface ModelPlan {
  readonly config: NativeConfig;
  /** Paths with the sizes the headers were checked against; a file that has another size by now is refused. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly weights: Readonly<Record<string, WeightPlan>>;
  readonly device: NativeDevice;
  /** The plug-in that has the device: with `cuda:N` only. */
  readonly plugin?: string | undefined;
  /** Worker threads, the engine's own included; 0 takes one a physical core. On CUDA they pack while it loads. */
  readonly threads: number;
  readonly kvType: KvType;
  /** Instruction set to force (MINICPM_CPU), or "" for the best. */
  readonly isa: string;
  /**
   * What matrices are rounded to at load that are not packed in the files; absent: they stay as the files have them, and
   * those of a {@link QuantType} are packed as they are, nothing rounded. Those of an {@link ArrayType} and ternary ones
   * always are.
   */
  readonly pack?: Packing;
  /**
   * What packed weights are multiplied with; "int8" is in groups of 32 (kernels/quantize_rows.h), not on CUDA. Absent:
   * "f32".
   */
  readonly activations?: "f32" | "int8";
  /** Bytes of keys and values kept for later prompts while no sequence holds them; 0 keeps none. */
  readonly cacheBytes: number;
  /** Names weights and settings: what changes keys and values beside the tokens. Absent: "". */
  readonly fingerprint?: string;
  /** Where keys and values are kept as files too, for other processes, up to about `bytes`. Absent: nowhere. */
  readonly directory?: { readonly path: string; readonly bytes: number };
  /**
   * The folder of a file for keys and values of sealed blocks beyond `bytes`, which are in memory. Sparse attention
   * only. Absent: all are in memory.
   */
  readonly spill?: { readonly path: string; readonly bytes: number } | undefined;
}
