/** models/tiny: a whole model folder of random weights, small enough for tests that load hundreds of times. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type SeededConfig, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";

const specials = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"];
const bytes = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);
const characters = ["▁", ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))];
const vocabulary = [...specials, ...bytes, ...characters];

const half = 8;
const ramp = (top: number) =>
  Array.from({ length: half }, (_, i) => Number((1 + (top - 1) * (i / (half - 1))).toFixed(4)));

const config: SeededConfig = {
  architectures: ["MiniCPMForCausalLM"],
  model_type: "minicpm",
  vocab_size: vocabulary.length + 4, // padded, as real vocabularies are
  hidden_size: 64,
  intermediate_size: 112,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  max_position_embeddings: 1024,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: {
    rope_type: "longrope",
    short_factor: ramp(2),
    long_factor: ramp(4),
    original_max_position_embeddings: 1024,
  },
  scale_emb: 12,
  scale_depth: 1.4,
  dim_model_base: 32,
  tie_word_embeddings: true,
  hidden_act: "silu",
  attention_bias: false,
  bos_token_id: 1,
  eos_token_id: [2, 4],
  torch_dtype: "bfloat16",
};

/** A SentencePiece-like BPE without merges: single ASCII characters, bytes for the rest, MiniCPM4's spacing. */
const tokenizer = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: specials.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [
      { SpecialToken: { id: "<s>", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "<s>", type_id: 1 } },
      { Sequence: { id: "B", type_id: 1 } },
    ],
    special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
  },
  decoder: {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "▁" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
      { type: "Strip", content: " ", start: 1, stop: 0 },
    ],
  },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: "<unk>",
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: true,
    vocab: Object.fromEntries(vocabulary.map((piece, id) => [piece, id])),
    merges: [],
  },
};

/** Writes the folder: config.json, model.safetensors, tokenizer.json, tokenizer_config.json, generation_config.json. */
export function writeTinyModel(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeSeededCheckpoint(folder, config, { seed: 260, dtype: "BF16" });
  const json = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), `${JSON.stringify(value, null, 1)}\n`);
  json("tokenizer.json", tokenizer);
  json("tokenizer_config.json", {
    tokenizer_class: "LlamaTokenizerFast",
    bos_token: "<s>",
    eos_token: "<|im_end|>",
    unk_token: "<unk>",
    add_bos_token: true,
    add_eos_token: false,
    clean_up_tokenization_spaces: false,
  });
  json("generation_config.json", {
    bos_token_id: 1,
    eos_token_id: [2, 4],
    do_sample: true,
    temperature: 0.8,
    top_p: 0.8,
  });
}
