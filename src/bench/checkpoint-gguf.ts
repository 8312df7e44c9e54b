/**
 * A checkpoint, of either format, as a GGUF file in the form of llama.cpp's converter: q and k rows of `llama` and
 * `minicpm` in interleaved RoPE pairs, innermost dimension first, scales worked out.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { UnsupportedError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { byteCharacters } from "../model/token-bytes.ts";
import { weightBytes, weightElements } from "../model/weight-size.ts";
import type { WeightPlan } from "../native/binding.ts";
import {
  array,
  boolean,
  float32,
  ggufHeader,
  padding,
  string,
  strings,
  type TypedValue,
  tensorTypeNumbers,
  uint32,
} from "./gguf-writer.ts";
import { blockElements, type EncodedType, encoded, encodedBytes } from "./quant-blocks.ts";
import type { SeededProgress } from "./seeded-checkpoint.ts";
import { widened } from "./widened.ts";

export type GgufArchitecture = "minicpm" | "llama" | "qwen3";

export interface CheckpointGgufOptions {
  /** What matrices become; vectors become F32 then. Absent: every tensor keeps its type. */
  readonly matrices?: EncodedType | undefined;
  /** What the head becomes, or the embedding where it is the head. Absent: as other matrices. */
  readonly head?: EncodedType | undefined;
  /** Default: the one that can say the checkpoint's numbers; `llama` has neither scales nor LongRoPE. */
  readonly architecture?: GgufArchitecture | undefined;
  /** Beside or instead of what the checkpoint says. */
  readonly metadata?: Readonly<Record<string, TypedValue>> | undefined;
}

/** Most bytes that are converted at once. */
const chunkBytes = 4 * 2 ** 20;

/**
 * The whole file in memory, with a made-up gpt2 vocabulary: the 256 bytes, no merges, and the checkpoint's bos and eos as
 * control tokens at their own ids. Throws as {@link writeCheckpointGguf}.
 */
export function checkpointAsGguf(checkpoint: OpenedCheckpoint, options: CheckpointGgufOptions = {}): Buffer {
  return Buffer.concat([...pieces(checkpoint, options)]);
}

/**
 * Writes the same to `path`, a few MiB at a time; may be left early.
 *
 * @throws UnsupportedError where GGUF has no words for the model, or rows do not divide into quant blocks.
 */
export function* writeCheckpointGguf(
  path: string,
  checkpoint: OpenedCheckpoint,
  options: CheckpointGgufOptions = {},
): Generator<SeededProgress> {
  const total = tensorsOf(checkpoint, options).reduce((sum, { byteLength }) => sum + byteLength, 0);
  const file = openSync(path, "wx");
  try {
    let done = 0;
    for (const piece of pieces(checkpoint, options)) {
      for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
      done += piece.length;
      yield { done: Math.min(done, total), total };
    }
  } finally {
    closeSync(file);
  }
}

/** The architecture whose forward pass has what the config asks for. */
export function ggufArchitecture({
  qkNorm,
  embedScale,
  residualScale,
  logitScale,
  longRope,
}: ModelConfig): GgufArchitecture {
  if (qkNorm) return "qwen3";
  const plain = embedScale === 1 && residualScale === 1 && logitScale === 1 && !longRope;
  return plain ? "llama" : "minicpm";
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  readonly byteLength: number;
  /** Its bytes in order, piece by piece. */
  readonly pieces: () => Iterable<Uint8Array>;
}

function* pieces(checkpoint: OpenedCheckpoint, options: CheckpointGgufOptions): Generator<Uint8Array> {
  const architecture = options.architecture ?? ggufArchitecture(checkpoint.config);
  const tensors = tensorsOf(checkpoint, options);
  const metadata = {
    ...modelMetadata(checkpoint, architecture),
    ...vocabularyMetadata(checkpoint),
    ...options.metadata,
  };
  yield ggufHeader({ metadata, tensors });
  for (const tensor of tensors) {
    yield* tensor.pieces();
    yield padding(tensor.byteLength);
  }
}

function modelMetadata(
  { config, name }: OpenedCheckpoint,
  architecture: GgufArchitecture,
): Record<string, TypedValue> {
  const { longRope } = config;
  if (longRope && architecture !== "minicpm") {
    throw new UnsupportedError(
      `RoPE scaling in a GGUF of architecture ${architecture}`,
      "Leave rope_scaling out of the shape.",
    );
  }
  const numbers = {
    vocab_size: uint32(config.vocabSize),
    context_length: uint32(config.maxContext),
    embedding_length: uint32(config.hiddenSize),
    block_count: uint32(config.layers),
    feed_forward_length: uint32(config.intermediateSize),
    "rope.dimension_count": uint32(config.headDim),
    "rope.freq_base": float32(config.ropeTheta),
    "attention.head_count": uint32(config.heads),
    "attention.head_count_kv": uint32(config.kvHeads),
    "attention.key_length": uint32(config.headDim),
    "attention.value_length": uint32(config.headDim),
    "attention.layer_norm_rms_epsilon": float32(config.rmsNormEps),
    ...(architecture === "minicpm" && {
      embedding_scale: float32(config.embedScale),
      residual_scale: float32(config.residualScale),
      logit_scale: float32(1 / config.logitScale),
    }),
    ...(longRope && {
      "rope.scaling.type": string("longrope"),
      "rope.scaling.original_context_length": uint32(longRope.originalLength),
    }),
  };
  return {
    "general.architecture": string(architecture),
    "general.name": string(name),
    ...Object.fromEntries(Object.entries(numbers).map(([key, value]) => [`${architecture}.${key}`, value])),
  };
}

function vocabularyMetadata({ config }: OpenedCheckpoint): Record<string, TypedValue> {
  const { vocabSize, bosToken = 1, eosTokens } = config;
  const controls = new Map([
    [bosToken, "<s>"],
    ...eosTokens.map((id, index) => [id, index === 0 ? "</s>" : `<|end_${index}|>`] as const),
  ]);
  const free = Array.from({ length: vocabSize }, (_, id) => id).filter((id) => !controls.has(id));
  const names = [...byteCharacters, ...free.slice(byteCharacters.length).map((id) => `[PAD${id}]`)];
  const tokens = new Map([...controls, ...free.map((id, index) => [id, names[index] ?? ""] as const)]);
  const ids = Array.from({ length: vocabSize }, (_, id) => id);
  return {
    "tokenizer.ggml.model": string("gpt2"),
    "tokenizer.ggml.pre": string("gpt-2"),
    "tokenizer.ggml.tokens": strings(ids.map((id) => tokens.get(id) ?? "")),
    "tokenizer.ggml.token_type": array(
      5,
      ids.map((id) => uint32(controls.has(id) ? 3 : 1)),
    ),
    "tokenizer.ggml.merges": strings([]),
    "tokenizer.ggml.bos_token_id": uint32(bosToken),
    "tokenizer.ggml.eos_token_id": uint32(eosTokens.at(-1) ?? bosToken),
    "tokenizer.ggml.add_bos_token": boolean(true),
  };
}

function tensorsOf(checkpoint: OpenedCheckpoint, options: CheckpointGgufOptions): Tensor[] {
  return [...ropeTensors(checkpoint.config), ...weightTensors(checkpoint, options)];
}

function ropeTensors({ longRope }: ModelConfig): Tensor[] {
  if (!longRope) return [];
  const list = (name: string, values: readonly number[]): Tensor => ({
    name,
    shape: [values.length],
    type: tensorTypeNumbers.F32,
    byteLength: 4 * values.length,
    pieces: () => [encoded("F32", Float32Array.from(values))],
  });
  return [
    list("rope_factors_long.weight", longRope.longFactor),
    list("rope_factors_short.weight", longRope.shortFactor),
  ];
}

const outerNames: Readonly<Record<string, string>> = {
  embed: "token_embd.weight",
  head: "output.weight",
  norm: "output_norm.weight",
};

const layerNames: Readonly<Record<string, string>> = {
  "attn.norm": "attn_norm",
  "attn.q": "attn_q",
  "attn.k": "attn_k",
  "attn.v": "attn_v",
  "attn.o": "attn_output",
  "attn.q_norm": "attn_q_norm",
  "attn.k_norm": "attn_k_norm",
  "mlp.norm": "ffn_norm",
  "mlp.gate": "ffn_gate",
  "mlp.up": "ffn_up",
  "mlp.down": "ffn_down",
};

function weightTensors(
  { config, plan, tiedHead }: OpenedCheckpoint,
  { matrices, head = matrices, architecture = ggufArchitecture(config) }: CheckpointGgufOptions,
): Tensor[] {
  const headName = tiedHead ? "embed" : "head";
  return Object.entries(plan.weights).map(([ours, weight]) => {
    const [, layer, part = ""] = /^layers\.(\d+)\.(.*)$/.exec(ours) ?? [];
    const name = layer ? `blk.${layer}.${layerNames[part]}.weight` : (outerNames[ours] ?? ours);
    const asked = ours === headName ? head : matrices;
    const target = asked && weight.shape.length === 1 ? "F32" : asked;
    const path = plan.files[weight.file]?.path ?? "";
    const inPairs = (part === "attn.q" || part === "attn.k") && architecture !== "qwen3";
    if (!inPairs && weight.interleavedHeads !== undefined) {
      throw new UnsupportedError(
        `${architecture} from a GGUF with interleaved rows`,
        "Take its own architecture.",
      );
    }
    const headDim = inPairs && weight.interleavedHeads === undefined ? config.headDim : undefined;
    return {
      name,
      shape: weight.shape,
      type: tensorTypeNumbers[target ?? weight.dtype],
      byteLength: target ? targetBytes(name, target, weight) : weightBytes(weight),
      pieces: () => weightPieces(path, weight, target, headDim),
    };
  });
}

function targetBytes(name: string, target: EncodedType, weight: WeightPlan): number {
  const columns = weight.shape.at(-1) ?? 0;
  if (columns % blockElements(target) === 0) return encodedBytes(target, weightElements(weight));
  throw new UnsupportedError(
    `${target} for ${name} with rows of ${columns}`,
    `Rows have to be a multiple of ${blockElements(target)}.`,
  );
}

/** @param headDim of rows that go into interleaved RoPE pairs, head by head */
function* weightPieces(
  path: string,
  weight: WeightPlan,
  target: EncodedType | undefined,
  headDim: number | undefined,
): Generator<Uint8Array> {
  const rows = weight.shape.length === 1 ? 1 : (weight.shape[0] ?? 0);
  const rowBytes = weightBytes(weight) / rows;
  const unit = headDim ?? 1;
  const atOnce = unit * Math.max(1, Math.floor(chunkBytes / rowBytes / unit));
  const file = openSync(path, "r");
  try {
    for (let row = 0; row < rows; row += atOnce) {
      const bytes = Buffer.alloc(Math.min(atOnce, rows - row) * rowBytes);
      readSync(file, bytes, { position: weight.offset + row * rowBytes });
      const ordered = headDim ? interleaved(bytes, rowBytes, headDim) : bytes;
      yield target === undefined || target === weight.dtype
        ? ordered
        : encoded(target, widened(weight.dtype, ordered));
    }
  } finally {
    closeSync(file);
  }
}

/** Rows so that, per head, row 2i is the old row i and row 2i + 1 the old row i + headDim / 2. */
function interleaved(bytes: Buffer, rowBytes: number, headDim: number): Buffer {
  const from = (row: number) => {
    const within = row % headDim;
    return row - within + (within >> 1) + (within & 1 ? headDim / 2 : 0);
  };
  const order = Array.from({ length: bytes.length / rowBytes }, (_, row) => from(row));
  return Buffer.concat(order.map((row) => bytes.subarray(row * rowBytes, (row + 1) * rowBytes)));
}
