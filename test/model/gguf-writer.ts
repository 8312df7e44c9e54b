/**
 * Writes GGUF: any header a test asks for, and whole checkpoints as llama.cpp's converter would write them (q and k
 * rows in interleaved RoPE pairs, innermost dimension first, scales worked out).
 */
import { readFileSync } from "node:fs";
import type { OpenedCheckpoint } from "../../src/model/opened-model.ts";
import { byteCharacters } from "../../src/model/token-bytes.ts";
import type { WeightPlan } from "../../src/native/binding.ts";
import { tensorBytes, widened } from "./widened.ts";

/** A metadata value with its type number, already as bytes. */
export interface TypedValue {
  readonly type: number;
  readonly bytes: Buffer;
}

export interface GgufTensor {
  readonly name: string;
  /** Innermost dimension last, as everywhere but in the file. */
  readonly shape: readonly number[];
  /** The type's number: {@link tensorTypeNumbers}. */
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface GgufParts {
  readonly metadata: Readonly<Record<string, TypedValue>>;
  readonly tensors: readonly GgufTensor[];
  readonly version?: number;
  readonly alignment?: number;
}

export const tensorTypeNumbers: Readonly<Record<WeightPlan["dtype"], number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 8,
  BF16: 30,
};

export const uint32 = (value: number): TypedValue => ({ type: 4, bytes: u32(value) });
export const float32 = (value: number): TypedValue => ({ type: 6, bytes: f32(value) });
export const boolean = (value: boolean): TypedValue => ({ type: 7, bytes: Buffer.of(Number(value)) });
export const string = (value: string): TypedValue => ({ type: 8, bytes: text(value) });
export const uint64 = (value: bigint): TypedValue => ({ type: 10, bytes: u64(value) });

/** An array whose items all have `type`. */
export function array(type: number, items: readonly TypedValue[]): TypedValue {
  const bytes = Buffer.concat([u32(type), u64(BigInt(items.length)), ...items.map((item) => item.bytes)]);
  return { type: 9, bytes };
}

export const strings = (values: readonly string[]): TypedValue => array(8, values.map(string));

/** The file's bytes. Tensors lie in the order given, each at a multiple of the alignment. */
export function ggufBytes({ metadata, tensors, version = 3, alignment = 32 }: GgufParts): Buffer {
  const entries = Object.entries(metadata);
  const header = [
    Buffer.from("GGUF"),
    u32(version),
    u64(BigInt(tensors.length)),
    u64(BigInt(entries.length)),
  ];
  for (const [key, { type, bytes }] of entries) header.push(text(key), u32(type), bytes);

  const data: Uint8Array[] = [];
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    const dimensions = shape.toReversed().map((length) => u64(BigInt(length)));
    header.push(text(name), u32(shape.length), ...dimensions, u32(type), u64(BigInt(offset)));
    const padding = -bytes.length & (alignment - 1);
    data.push(bytes, Buffer.alloc(padding));
    offset += bytes.length + padding;
  }
  const head = Buffer.concat(header);
  return Buffer.concat([head, Buffer.alloc(-head.length & (alignment - 1)), ...data]);
}

export interface CheckpointAsGgufOptions {
  /** All tensors become F32 instead of keeping their type. */
  readonly widen?: boolean;
  /** `llama` has neither scales nor LongRoPE: only for a checkpoint whose scales are 1. */
  readonly architecture?: "minicpm" | "llama";
}

/**
 * A checkpoint, of either format, as a GGUF file with a made-up gpt2 vocabulary: the 256 bytes, no merges, and
 * `<|im_start|>` and the checkpoint's bos and eos as control tokens at their own ids.
 */
export function checkpointAsGguf(
  checkpoint: OpenedCheckpoint,
  { widen = false, architecture = "minicpm" }: CheckpointAsGgufOptions = {},
): Buffer {
  return ggufBytes({
    metadata: { ...modelMetadata(checkpoint, architecture), ...vocabularyMetadata(checkpoint) },
    tensors: [...ropeTensors(checkpoint), ...weightTensors(checkpoint, widen)],
  });
}

function modelMetadata(
  { config, name }: OpenedCheckpoint,
  architecture: "minicpm" | "llama",
): Record<string, TypedValue> {
  const { longRope } = config;
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

function ropeTensors({ config }: OpenedCheckpoint): GgufTensor[] {
  const { longRope } = config;
  if (!longRope) return [];
  const list = (name: string, values: readonly number[]) => ({
    name,
    shape: [values.length],
    type: tensorTypeNumbers.F32,
    bytes: Buffer.concat(values.map(f32)),
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
  "mlp.norm": "ffn_norm",
  "mlp.gate": "ffn_gate",
  "mlp.up": "ffn_up",
  "mlp.down": "ffn_down",
};

function weightTensors({ config, plan }: OpenedCheckpoint, widen: boolean): GgufTensor[] {
  const files = plan.files.map(({ path }) => readFileSync(path));
  return Object.entries(plan.weights).map(([ours, { file, offset, dtype, shape, interleavedHeads }]) => {
    const [, layer, part = ""] = /^layers\.(\d+)\.(.*)$/.exec(ours) ?? [];
    const name = layer ? `blk.${layer}.${layerNames[part]}.weight` : (outerNames[ours] ?? ours);
    const bytes = files[file]?.subarray(offset, offset + tensorBytes(dtype, shape)) ?? Buffer.alloc(0);
    const halves = (part === "attn.q" || part === "attn.k") && interleavedHeads === undefined;
    const ordered = halves ? interleaved(bytes, shape, config.headDim) : bytes;
    return widen
      ? { name, shape, type: tensorTypeNumbers.F32, bytes: widened(dtype, ordered) }
      : { name, shape, type: tensorTypeNumbers[dtype], bytes: ordered };
  });
}

/** Rows so that, per head, row 2i is the old row i and row 2i + 1 the old row i + headDim / 2. */
function interleaved(bytes: Buffer, [rows = 0]: readonly number[], headDim: number): Buffer {
  const rowBytes = bytes.length / rows;
  const from = (row: number) => {
    const within = row % headDim;
    return row - within + (within >> 1) + (within & 1 ? headDim / 2 : 0);
  };
  const order = Array.from({ length: rows }, (_, row) => from(row));
  return Buffer.concat(order.map((row) => bytes.subarray(row * rowBytes, (row + 1) * rowBytes)));
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(BigInt(bytes.length)), bytes]);
}
