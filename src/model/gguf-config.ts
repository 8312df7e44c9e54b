/** The config of a GGUF file from its metadata and its RoPE factor tensors. */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import {
  checkHeads,
  limits,
  longRope,
  type ModelConfig,
  type RopeNumbers,
  type RopeScaling,
  unsupportedRope,
} from "./config.ts";
import type { GgufFile } from "./gguf.ts";
import { Fields } from "./json-fields.ts";
import { shapeText } from "./tensor-file.ts";
import { yarnScaling } from "./yarn.ts";

const architectures = ["minicpm", "llama", "qwen3"];

/** Control tokens that end an answer whether or not the metadata names them. */
const endingTokens = new Set(["<|im_end|>", "<|eot_id|>"]);

/** The number by which metadata marks a control token in `tokenizer.ggml.token_type`. */
export const controlToken = 3;

/**
 * @param source the file, from which RoPE factors are read
 * @throws CheckpointError where a number cannot be true, naming file, key, expected and found.
 * @throws UnsupportedError where the model needs what the forward pass does not do.
 */
export function parseGgufConfig(source: ByteSource, gguf: GgufFile): ModelConfig {
  const file = gguf.path;
  const fields = new Fields(file, Object.fromEntries(gguf.metadata));
  const architecture = fields.string("general.architecture") ?? "nothing";
  if (!architectures.includes(architecture)) {
    throw new UnsupportedError(
      `The architecture ${architecture} (in ${file})`,
      `These run: ${architectures.join(", ")}.`,
    );
  }
  const key = (name: string) => `${architecture}.${name}`;
  refuseUnsupported(fields, gguf, key);

  const tokens = fields.get("tokenizer.ggml.tokens");
  const vocabSize = fields.integer(
    key("vocab_size"),
    limits.vocabSize,
    Array.isArray(tokens) ? tokens.length : undefined,
  );
  const hiddenSize = fields.integer(key("embedding_length"), limits.hiddenSize);
  const layers = fields.integer(key("block_count"), limits.layers);
  const heads = fields.integer(key("attention.head_count"), limits.heads);
  const kvHeads = fields.integer(key("attention.head_count_kv"), limits.heads, heads);
  if (!fields.has(key("attention.key_length")) && hiddenSize % heads !== 0) {
    throw fields.wrong(key("embedding_length"), `a multiple of the ${heads} heads`, hiddenSize);
  }
  const headDim = fields.integer(key("attention.key_length"), limits.headDim, hiddenSize / heads);
  checkHeads(
    file,
    { heads, kvHeads, headDim },
    { heads: key("attention.head_count"), headDim: key("attention.key_length") },
  );
  for (const name of ["attention.value_length", "rope.dimension_count"]) {
    fields.integer(key(name), { least: headDim, most: headDim }, headDim);
  }
  const maxContext = fields.integer(key("context_length"), limits.context);
  const ropeTheta = fields.number(key("rope.freq_base"), limits.theta, 10000);
  const scaling = readRopeScaling(source, fields, gguf, { key, headDim, maxContext, theta: ropeTheta });
  const ids = { least: 0, most: vocabSize - 1 };
  const [bosToken] = fields.integers("tokenizer.ggml.bos_token_id", ids);
  return {
    architecture,
    vocabSize,
    hiddenSize,
    intermediateSize: fields.integer(key("feed_forward_length"), limits.intermediateSize),
    layers,
    heads,
    kvHeads,
    headDim,
    rmsNormEps: fields.number(key("attention.layer_norm_rms_epsilon"), limits.eps),
    ...(architecture === "minicpm" ? readScales(fields, key, hiddenSize, layers) : plainScales(fields, key)),
    ropeTheta,
    ...scaling,
    ...(architecture === "qwen3" && { qkNorm: true }),
    ...(bosToken !== undefined && { bosToken }),
    eosTokens: readEosTokens(fields, ids),
  };
}

type Key = (name: string) => string;

function refuseUnsupported(fields: Fields, gguf: GgufFile, key: Key): void {
  const refuse = (what: string, instead: string) => {
    throw new UnsupportedError(`${what} (in ${gguf.path})`, instead);
  };
  if (fields.integer("split.count", { least: 0, most: 65535 }, 1) > 1) {
    refuse("A GGUF in several files", "Merge them into one first (llama-gguf-split --merge).");
  }
  if (fields.integer(key("expert_count"), { least: 0, most: 65535 }, 0) > 0)
    refuse("A mixture of experts", "Take a dense model.");
  if (gguf.tensors.has("rope_freqs.weight")) throw unsupportedRope(gguf.path, "llama3 (rope_freqs.weight)");
  const bias = [...gguf.tensors.keys()].find((name) => name.endsWith(".bias"));
  if (bias) refuse(`The tensor ${bias}`, "Only models without biases run.");
}

/** A model with scales is another family (Granite and the like) under a borrowed name. */
function plainScales(fields: Fields, key: Key) {
  for (const name of ["embedding_scale", "residual_scale", "logit_scale"]) {
    const scale = fields.number(key(name), limits.scale, 1);
    if (scale !== 1) throw fields.wrong(key(name), `1 in a model of its architecture`, scale);
  }
  return { embedScale: 1, residualScale: 1, logitScale: 1 };
}

/** llama.cpp's fallbacks; its logit_scale is a divisor as the converter writes it, a multiplier below 1. */
function readScales(fields: Fields, key: Key, hiddenSize: number, layers: number) {
  const logitScale = fields.number(key("logit_scale"), limits.scale, 256 / hiddenSize);
  return {
    embedScale: fields.number(key("embedding_scale"), limits.scale, 12),
    residualScale: fields.number(key("residual_scale"), limits.scale, 1.4 / Math.sqrt(layers)),
    logitScale: logitScale < 1 ? logitScale : 1 / logitScale,
  };
}

function readRopeScaling(
  source: ByteSource,
  fields: Fields,
  gguf: GgufFile,
  { key, headDim, maxContext, theta }: RopeNumbers & { readonly key: Key },
): RopeScaling {
  const type = fields.string(key("rope.scaling.type")) ?? "none";
  if (
    type === "none" ||
    (type === "linear" && fields.number(key("rope.scaling.factor"), limits.scale, 1) === 1)
  ) {
    return { maxContext };
  }
  if (type === "yarn") return readYarn(fields, key, { headDim, maxContext, theta });
  if (type !== "longrope") throw unsupportedRope(gguf.path, type);
  const original = fields.integer(key("rope.scaling.original_context_length"), limits.context, maxContext);
  const factors = (name: string) => readFactors(source, gguf, name, headDim / 2);
  const shortFactor = factors("rope_factors_short.weight");
  const longFactor = factors("rope_factors_long.weight");
  const magnitude = key("rope.scaling.attn_factor");
  const longest = fields.has(magnitude) ? fields.number(magnitude, limits.scale) : undefined;
  return { longRope: longRope(shortFactor, longFactor, original, maxContext, longest), maxContext };
}

/** llama.cpp multiplies attn_factor to YaRN's own magnitude. */
function readYarn(fields: Fields, key: Key, numbers: RopeNumbers): RopeScaling {
  if (fields.number(key("rope.scaling.yarn_log_multiplier"), { least: 0, most: 1e6 }, 0) !== 0) {
    throw unsupportedRope(fields.file, "yarn with a log multiplier");
  }
  const factor = fields.number(key("rope.scaling.factor"), limits.yarnFactor);
  const beta = (name: string, usual: number) =>
    fields.number(key(`rope.scaling.yarn_${name}`), limits.scale, usual);
  return yarnScaling({
    ...numbers,
    factor,
    originalLength: fields.integer(
      key("rope.scaling.original_context_length"),
      limits.context,
      numbers.maxContext,
    ),
    betaFast: beta("beta_fast", 32),
    betaSlow: beta("beta_slow", 1),
    magnitude: (0.1 * Math.log(factor) + 1) * fields.number(key("rope.scaling.attn_factor"), limits.scale, 1),
  });
}

function readFactors(source: ByteSource, gguf: GgufFile, name: string, length: number): number[] {
  const tensor = gguf.tensors.get(name);
  const found = tensor ? `${tensor.dtype} ${shapeText(tensor.shape)}` : "no such tensor";
  if (tensor?.dtype !== "F32" || tensor.shape.length !== 1 || tensor.shape[0] !== length) {
    throw new CheckpointError(gguf.path, name, `F32 ${shapeText([length])}`, found);
  }
  const bytes = source.read(tensor.offset, tensor.bytes);
  const values = Array.from({ length }, (_, i) => bytes.readFloatLE(4 * i));
  const { least, most } = limits.ropeFactor;
  const bad = values.find((value) => !(value >= least && value <= most));
  if (bad !== undefined)
    throw new CheckpointError(gguf.path, name, `numbers from ${least} to ${most}`, String(bad));
  return values;
}

function readEosTokens(fields: Fields, ids: { readonly least: number; readonly most: number }): number[] {
  const named = ["eos", "eot", "eom"].flatMap((name) =>
    fields.integers(`tokenizer.ggml.${name}_token_id`, ids),
  );
  const tokens = fields.get("tokenizer.ggml.tokens");
  const types = fields.get("tokenizer.ggml.token_type");
  const marked: number[] = [];
  if (Array.isArray(tokens) && Array.isArray(types)) {
    for (let id = 0; id < Math.min(tokens.length, ids.most + 1); ++id) {
      if (types[id] === controlToken && endingTokens.has(tokens[id])) marked.push(id);
    }
  }
  return [...new Set([...named, ...marked])];
}
