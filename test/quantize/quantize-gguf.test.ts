import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { loadModel } from "../../src/chat/load-model.ts";
import { checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import {
  array,
  boolean,
  float32,
  ggufBytes,
  string,
  strings,
  type TypedValue,
  uint32,
} from "../../src/gguf/gguf-writer.ts";
import { openCheckpoint, openModel } from "../../src/model/load.ts";
import type { Packing } from "../../src/native/binding.ts";
import { quantize } from "../../src/quantize/quantize.ts";
import { testNative as test } from "../cli/cli-process.ts";
import { root, testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { logitsOf } from "./packed-logits.ts";

const folder = scratchFolder();
const packing: Packing = { format: "w4", group: 128 };

function converted(reference: string, matrices: "F32" | "Q8_0" | "Q4_0" | undefined): string {
  const checkpoint = openCheckpoint(reference);
  const path = join(folder, `${checkpoint.name}-${matrices ?? "own"}.gguf`);
  writeFileSync(path, checkpointAsGguf(checkpoint, matrices && { matrices }));
  return path;
}

/** What a model is besides its weights' bytes. */
function meaning(reference: string) {
  const { config, tokenizer, chatTemplate, templateTokens, stopTokens, tiedHead } = openModel(reference);
  const { architecture: _, tiedHead: __, ...numbers } = config;
  const texts = ["Grüße,\n\t你好 🙂 12345", "<|im_end|> and <s>"];
  const tokens = texts.flatMap((text) =>
    [true, false].map((special) => [...tokenizer.encode(text, { special, bos: true })]),
  );
  const rounded = Object.fromEntries(
    Object.entries(numbers).map(([name, value]) => [
      name,
      typeof value === "number" ? Math.fround(value) : value,
    ]),
  );
  return { rounded, tokens, chatTemplate, templateTokens, stopTokens, tiedHead };
}

test.each([
  ["nano", undefined, packing],
  ["nano", "F32", { format: "w8", group: 32 }],
  ["nano", "Q8_0", packing],
  ["nano", "Q4_0", { format: "w4", group: 32 }],
  ["nano", "Q8_0", { format: "w2", group: 64 }],
] as const)(
  "%s as GGUF (matrices %s) becomes a folder with the bits of packing at load",
  async (model, matrices, pack) => {
    const source = converted(model, matrices);
    const out = `${source}-${pack.format}`;
    const { bytes } = await quantize(source, out, { ...pack, method: "rtn" });
    expect(bytes).toBeGreaterThan(0);
    expect(openCheckpoint(out).packed).toMatchObject(pack);
    expect(await logitsOf(out, pack, 290)).toEqual(await logitsOf(source, pack, 290));
    expect(meaning(out)).toEqual(meaning(source));
  },
);

/** Numbers of each architecture that its GGUF and its config.json write in different ways. */
const shapes = {
  minicpm: {
    architectures: ["MiniCPMForCausalLM"],
    scale_emb: 3,
    scale_depth: 1.7,
    dim_model_base: 40,
    rope_scaling: {
      rope_type: "longrope",
      short_factor: Array.from({ length: 16 }, (_, i) => 1 + i / 16),
      long_factor: Array.from({ length: 16 }, (_, i) => 1 + i / 4),
      original_max_position_embeddings: 128,
    },
  },
  llama: { architectures: ["LlamaForCausalLM"], tie_word_embeddings: true },
  qwen3: { architectures: ["Qwen3ForCausalLM"], rope_theta: 1_000_000 },
};

test.each(["minicpm", "llama", "qwen3"] as const)(
  "a GGUF of architecture %s keeps its numbers, head and rows",
  async (architecture) => {
    const config = {
      vocab_size: 300,
      hidden_size: 96,
      intermediate_size: 160,
      num_hidden_layers: 2,
      num_attention_heads: 3,
      num_key_value_heads: 1,
      head_dim: 32,
      max_position_embeddings: 256,
      rms_norm_eps: 1e-6,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: [2, 5],
      ...shapes[architecture],
    };
    const source = join(folder, architecture);
    writeSeededCheckpoint(source, config, { seed: 9, dtype: "BF16" });
    const gguf = converted(source, undefined);
    expect(openCheckpoint(gguf).config.architecture).toBe(architecture);
    await quantize(gguf, `${gguf}-packed`, { ...packing, method: "rtn" });
    expect(await logitsOf(`${gguf}-packed`, packing, 290)).toEqual(await logitsOf(gguf, packing, 290));
    expect(meaning(`${gguf}-packed`)).toEqual(meaning(gguf));
  },
);

/** One layer of zeros, with `metadata` beside what every file has. */
function zeros(name: string, metadata: Readonly<Record<string, TypedValue>>): string {
  const path = join(folder, `${name}.gguf`);
  const tokens = Array.from({ length: 300 }, (_, id) => `[PAD${id}]`);
  const tensor = (name: string, ...shape: number[]) => {
    const bytes = new Uint8Array(4 * shape.reduce((product, length) => product * length));
    return { name, shape, type: 0, bytes };
  };
  const bytes = ggufBytes({
    metadata: {
      "general.architecture": string("llama"),
      "llama.block_count": uint32(1),
      "llama.context_length": uint32(1024),
      "llama.embedding_length": uint32(64),
      "llama.feed_forward_length": uint32(32),
      "llama.attention.head_count": uint32(2),
      "llama.attention.head_count_kv": uint32(1),
      "llama.attention.layer_norm_rms_epsilon": float32(1e-5),
      "tokenizer.ggml.model": string("gpt2"),
      "tokenizer.ggml.pre": string("smollm"),
      "tokenizer.ggml.tokens": strings(tokens),
      "tokenizer.ggml.token_type": array(
        5,
        tokens.map((_, id) => uint32(id === 7 ? 3 : 1)),
      ),
      "tokenizer.ggml.merges": strings([]),
      "tokenizer.ggml.eos_token_id": uint32(7),
      ...metadata,
    },
    tensors: [
      tensor("token_embd.weight", 300, 64),
      tensor("output_norm.weight", 64),
      tensor("blk.0.attn_norm.weight", 64),
      tensor("blk.0.attn_q.weight", 64, 64),
      tensor("blk.0.attn_k.weight", 32, 64),
      tensor("blk.0.attn_v.weight", 32, 64),
      tensor("blk.0.attn_output.weight", 64, 64),
      tensor("blk.0.ffn_norm.weight", 64),
      tensor("blk.0.ffn_gate.weight", 32, 64),
      tensor("blk.0.ffn_up.weight", 32, 64),
      tensor("blk.0.ffn_down.weight", 64, 32),
    ],
  });
  writeFileSync(path, bytes);
  return path;
}

test("YaRN with a magnitude of the file's own becomes lists with that magnitude", async () => {
  const source = zeros("yarn", {
    "llama.rope.scaling.type": string("yarn"),
    "llama.rope.scaling.factor": float32(4),
    "llama.rope.scaling.original_context_length": uint32(256),
    "llama.rope.scaling.attn_factor": float32(0.75),
    "tokenizer.ggml.bos_token_id": uint32(3),
    "tokenizer.ggml.add_bos_token": boolean(true),
  });
  await quantize(source, `${source}-packed`, { ...packing, method: "rtn" });
  const { config, tokenizer } = openModel(`${source}-packed`);
  expect(config.longRope).toEqual(openCheckpoint(source).config.longRope);
  expect(config.longRope?.magnitude).toBeCloseTo(0.75 * (1 + 0.1 * Math.log(4)), 6);
  expect(tokenizer.prefix).toEqual([3]);
});

test("an unknown vocabulary is refused before anything is written", async () => {
  const source = zeros("wordpiece", { "tokenizer.ggml.model": string("bert") });
  const refused = quantize(source, `${source}-packed`, packing);
  await expect(refused).rejects.toMatchObject({ code: "UNSUPPORTED", message: /vocabulary "bert"/ });
  expect(readdirSync(folder).filter((name) => name.startsWith("wordpiece"))).toEqual(["wordpiece.gguf"]);
});

test("a SentencePiece vocabulary encodes as before", async () => {
  const pieces = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "<0x0A>"];
  const padding = Array.from({ length: 292 }, (_, i) => `[PAD${i}]`);
  const source = zeros("spm", {
    "tokenizer.ggml.model": string("llama"),
    "tokenizer.ggml.tokens": strings([...pieces, ...padding]),
    "tokenizer.ggml.token_type": array(5, [2, 3, 3, 1, 1, 1, 1, 6, ...padding.map(() => 5)].map(uint32)),
    "tokenizer.ggml.scores": array(
      6,
      [...pieces, ...padding].map((_, id) => float32(-id)),
    ),
    "tokenizer.ggml.bos_token_id": uint32(1),
    "tokenizer.ggml.eos_token_id": uint32(2),
  });
  await quantize(source, `${source}-packed`, packing);
  const [before, after] = [source, `${source}-packed`].map((path) => openModel(path).tokenizer);
  const tokens = before?.encode("a ba\n", { bos: true });
  expect([...(tokens ?? [])]).toEqual([1, 6, 3, 5, 4, 7]);
  expect(after?.encode("a ba\n", { bos: true })).toEqual(tokens);
  expect(after?.decode(tokens ?? [])).toBe("a ba\n");
});

const smollm2 = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
testNeeding([smollm2, join(root, "build/Release/minicpm.node")], "models/smollm2/fetch brings it")(
  "SmolLM2's GGUF becomes a folder that chats as the file does",
  async () => {
    const out = join(folder, "smollm2-w8");
    await quantize(smollm2, out, { format: "w8", group: 32, method: "rtn" });
    expect(readdirSync(out).sort()).toEqual(
      [
        "README.md",
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
      ].sort(),
    );
    expect(meaning(out)).toEqual(meaning(smollm2));
    const answer = async (reference: string, options: object) => {
      await using model = await loadModel(reference, { contextLength: 256, ...options });
      const question = { role: "user", content: "Who wrote Romeo and Juliet?" } as const;
      const result = await model.chat([question], { maxTokens: 12, temperature: 0 });
      return result.text;
    };
    const packed = await answer(out, {});
    expect(packed).toBe(await answer(smollm2, { pack: "w8", packGroup: 32 }));
    expect(packed).toContain("Shakespeare");
  },
  60_000,
);
