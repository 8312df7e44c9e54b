/**
 * A checkpoint, of either format, as a GGUF file in the form of llama.cpp's converter: q and k rows of `llama` and
 * `minicpm` in interleaved RoPE pairs, innermost dimension first, scales worked out.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { UnsupportedError } from "../errors.ts";
import { isArrayType } from "../model/array-types.ts";
import type { ModelConfig } from "../model/config.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { isPackedType, type PlainType, weightBytes, weightElements } from "../model/weight-size.ts";
import type { WeightPlan } from "../native/binding.ts";
import { checkpointMetadata, type GgufArchitecture, ggufArchitecture } from "./gguf-metadata.ts";
import { ggufHeader, padding, type TypedValue, tensorTypeNumbers } from "./gguf-writer.ts";
import { blockElements, type EncodedType, encoded, encodedBytes } from "./quant-blocks.ts";
import { isWidenedType, widened } from "./widened.ts";

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

/** Bytes of tensors written, of all. */
export interface GgufProgress {
  readonly done: number;
  readonly total: number;
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
): Generator<GgufProgress> {
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
  const metadata = { ...checkpointMetadata(checkpoint, architecture), ...options.metadata };
  yield ggufHeader({ metadata, tensors });
  for (const tensor of tensors) {
    yield* tensor.pieces();
    yield padding(tensor.byteLength);
  }
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
    const { dtype } = weight;
    if (isPackedType(dtype) || isArrayType(dtype)) {
      throw new UnsupportedError(`A GGUF of packed weights (${path})`, "Take the model that was packed.");
    }
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
      type: tensorTypeNumbers[target ?? dtype],
      byteLength: target ? targetBytes(name, target, weight) : weightBytes(weight),
      pieces: () => weightPieces(path, { ...weight, dtype }, target, headDim),
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
  weight: WeightPlan & { readonly dtype: PlainType },
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
      if (target === undefined || target === weight.dtype) yield ordered;
      else if (isWidenedType(weight.dtype)) yield encoded(target, widened(weight.dtype, ordered));
      else
        throw new UnsupportedError(`${target} from ${weight.dtype} (in ${path})`, "Take the file as it is.");
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
