/**
 * Random checkpoints and prompts from a seed, the same bits as test/golden/seeded.py makes (the rule is written there).
 *
 * A Hugging Face folder: config.json and model.safetensors. Benches run on them where there are no weights, tests
 * everywhere; one of MiniCPM4-0.5B's shape (0.87 GB) is written in seconds.
 */
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { toBf16, toF16 } from "../model/half.ts";

export type SeededDType = "F32" | "F16" | "BF16";

/** What this needs of a config.json; everything else in it is copied. */
export interface SeededConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim?: number;
  readonly tie_word_embeddings: boolean;
  readonly [field: string]: unknown;
}

interface SeededTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly amplitude: number;
  readonly offset: number;
}

export interface SeededOptions {
  readonly seed: number;
  /** Of all weights. */
  readonly dtype: SeededDType;
}

/** Bytes of weights written, of all. */
export interface SeededProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Writes `folder`/config.json and `folder`/model.safetensors.
 *
 * @returns sha256 of all tensor bytes in file order: the one in test/golden/grid.json if this and seeded.py agree.
 */
export function writeSeededCheckpoint(folder: string, config: SeededConfig, options: SeededOptions): string {
  const steps = seededCheckpointSteps(folder, config, options);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** The same a few MiB at a time, for callers with something else to do meanwhile; may be left early. */
export function* seededCheckpointSteps(
  folder: string,
  config: SeededConfig,
  { seed, dtype }: SeededOptions,
): Generator<SeededProgress, string> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), `${JSON.stringify(config, null, 1)}\n`);

  const tensors = seededTensors(config);
  const size = dtype === "F32" ? 4 : 2;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const { name, shape } of tensors) {
    const start = end;
    end += count(shape) * size;
    header[name] = { dtype, shape, data_offsets: [start, end] };
  }
  const json = JSON.stringify(header);
  const text = Buffer.from(json.padEnd(Math.ceil(Buffer.byteLength(json) / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));

  const digest = createHash("sha256");
  const file = openSync(join(folder, "model.safetensors"), "w");
  try {
    writeSync(file, length);
    writeSync(file, text);
    let done = 0;
    for (const bytes of tensorBytes(tensors, seed, dtype)) {
      digest.update(bytes);
      writeSync(file, bytes);
      done += bytes.length;
      yield { done, total: end };
    }
  } finally {
    closeSync(file);
  }
  return digest.digest("hex");
}

/** `length` token ids: bos (1), then any of the vocabulary but the first three. */
export function seededPrompt(
  config: Pick<SeededConfig, "vocab_size">,
  seed: number,
  length: number,
): Int32Array {
  const start = (seed ^ fnv1a("prompt")) >>> 0;
  const ids = new Int32Array(length);
  for (let i = 0; i < length; ++i)
    ids[i] = 3 + Math.floor(((numberAt(start, i) + 1) / 2) * (config.vocab_size - 3));
  ids[0] = 1;
  return ids;
}

/** Every tensor of the checkpoint, in file order. */
function seededTensors(config: SeededConfig): SeededTensor[] {
  const { hidden_size: hidden, intermediate_size: inner, vocab_size: vocab } = config;
  const headDim = config.head_dim ?? hidden / config.num_attention_heads;
  const queries = config.num_attention_heads * headDim;
  const keys = config.num_key_value_heads * headDim;
  const tied = config.tie_word_embeddings;
  const qkNorm = Array.isArray(config.architectures) && config.architectures[0] === "Qwen3ForCausalLM";
  const vector = (name: string, amplitude: number, offset: number, length = hidden) => ({
    name,
    shape: [length],
    amplitude,
    offset,
  });
  const linear = (name: string, rows: number, columns: number, gain: number) => ({
    name,
    shape: [rows, columns],
    amplitude: gain * Math.sqrt(3 / columns),
    offset: 0,
  });

  const tensors: SeededTensor[] = [
    { name: "model.embed_tokens.weight", shape: [vocab, hidden], amplitude: 1 / 8, offset: 0 },
  ];
  for (let layer = 0; layer < config.num_hidden_layers; ++layer) {
    const at = `model.layers.${layer}.`;
    tensors.push(
      vector(`${at}input_layernorm.weight`, 0.25, 1),
      linear(`${at}self_attn.q_proj.weight`, queries, hidden, 1.5),
      linear(`${at}self_attn.k_proj.weight`, keys, hidden, 1.5),
      linear(`${at}self_attn.v_proj.weight`, keys, hidden, 1),
      linear(`${at}self_attn.o_proj.weight`, hidden, queries, 4),
      ...(qkNorm ? ["q", "k"] : []).map((part) =>
        vector(`${at}self_attn.${part}_norm.weight`, 0.5, 1.5, headDim),
      ),
      vector(`${at}post_attention_layernorm.weight`, 0.25, 1),
      linear(`${at}mlp.gate_proj.weight`, inner, hidden, 1),
      linear(`${at}mlp.up_proj.weight`, inner, hidden, 1),
      linear(`${at}mlp.down_proj.weight`, hidden, inner, 6),
    );
  }
  tensors.push(tied ? vector("model.norm.weight", 1.75, 0) : vector("model.norm.weight", 0.25, 1));
  if (!tied) tensors.push(linear("lm_head.weight", vocab, hidden, 4));
  return tensors;
}

/** Number `index` of the stream that starts at `start`: 24 hashed bits as [-1, 1). */
export function numberAt(start: number, index: number): number {
  return (wordAt(start, index) >>> 8) / 8388608 - 1;
}

/** All 32 of its bits. */
export function wordAt(start: number, index: number): number {
  let h = (start + Math.imul(index, 0x9e3779b9)) | 0;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}

/** The bytes of all tensors in order, a few MiB at a time. A yielded array is overwritten by the next. */
function* tensorBytes(
  tensors: readonly SeededTensor[],
  seed: number,
  dtype: SeededDType,
): Generator<Uint8Array> {
  const room = 1 << 20;
  const floats = new Float32Array(room);
  const bits = new Uint32Array(floats.buffer);
  const halves = new Uint16Array(room);
  for (const { name, shape, amplitude, offset } of tensors) {
    const start = (seed ^ fnv1a(name)) >>> 0;
    const total = count(shape);
    for (let first = 0; first < total; first += room) {
      const here = Math.min(room, total - first);
      for (let i = 0; i < here; ++i) floats[i] = offset + amplitude * numberAt(start, first + i);
      if (dtype === "BF16") for (let i = 0; i < here; ++i) halves[i] = toBf16(bits[i] as number);
      if (dtype === "F16") for (let i = 0; i < here; ++i) halves[i] = toF16(bits[i] as number);
      const stored = dtype === "F32" ? floats : halves;
      yield new Uint8Array(stored.buffer, 0, here * stored.BYTES_PER_ELEMENT);
    }
  }
}

/** A tensor's stream starts at the checkpoint's seed xor this of its name. */
export function fnv1a(name: string): number {
  let h = 0x811c9dc5;
  for (const byte of Buffer.from(name)) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
