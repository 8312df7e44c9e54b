/** A checkpoint's numbers and a made-up vocabulary as GGUF metadata, under the names of llama.cpp's converter. */
import { UnsupportedError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { byteCharacters } from "../model/token-bytes.ts";
import { array, boolean, float32, string, strings, type TypedValue, uint32 } from "./gguf-writer.ts";

export type GgufArchitecture = "minicpm" | "llama" | "qwen3";

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

/** @throws UnsupportedError where GGUF has no words for the model's RoPE. */
export function checkpointMetadata(
  checkpoint: OpenedCheckpoint,
  architecture: GgufArchitecture,
): Record<string, TypedValue> {
  return { ...modelMetadata(checkpoint, architecture), ...vocabularyMetadata(checkpoint) };
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
