/** The parsers of files that anyone may have made, and of what a model says. */
import { readFileSync } from "node:fs";
import type { CallFormat } from "../../src/chat/call-format.ts";
import { jsonCalls } from "../../src/chat/json-calls.ts";
import { pythonCalls } from "../../src/chat/python-calls.ts";
import { Reply } from "../../src/chat/reply.ts";
import { xmlCalls } from "../../src/chat/xml-calls.ts";
import { checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import { array, boolean, float32, ggufBytes, string, strings, uint32 } from "../../src/gguf/gguf-writer.ts";
import { inMemory } from "../../src/model/byte-source.ts";
import { readGguf } from "../../src/model/gguf.ts";
import { parseGgufConfig } from "../../src/model/gguf-config.ts";
import { ggufTokenizer } from "../../src/model/gguf-tokenizer.ts";
import { parseGenerationConfig, parseHuggingFaceConfig } from "../../src/model/huggingface-config.ts";
import { isObject, readJson } from "../../src/model/json-fields.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { packedMetadata, readPackedMetadata } from "../../src/model/packed-model.ts";
import { arrayFinder } from "../../src/model/quant-arrays.ts";
import {
  configQuantization,
  fileQuantization,
  type Quantization,
} from "../../src/model/quantization-config.ts";
import { readIndex, readSafetensors } from "../../src/model/safetensors.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { configJson } from "../../src/quantize/config-json.ts";
import { smallTokenizer } from "../model/small-tokenizer.ts";
import type { Target } from "./fuzzer.ts";

const file = "fuzz";

const smallGguf = ggufBytes({
  metadata: {
    "general.architecture": string("llama"),
    "llama.block_count": uint32(1),
    "llama.context_length": uint32(64),
    "llama.embedding_length": uint32(16),
    "llama.feed_forward_length": uint32(32),
    "llama.attention.head_count": uint32(2),
    "llama.attention.head_count_kv": uint32(1),
    "llama.attention.layer_norm_rms_epsilon": float32(1e-5),
    "llama.vocab_size": uint32(3),
    "tokenizer.ggml.model": string("gpt2"),
    "tokenizer.ggml.pre": string("smollm"),
    "tokenizer.ggml.tokens": strings(["a", "b", "ab"]),
    "tokenizer.ggml.merges": strings(["a b"]),
  },
  tensors: [{ name: "output_norm.weight", shape: [16], type: 0, bytes: new Uint8Array(64) }],
});

const smallSentencePiece = ggufBytes({
  metadata: {
    "general.architecture": string("llama"),
    "llama.block_count": uint32(1),
    "llama.context_length": uint32(64),
    "llama.embedding_length": uint32(16),
    "llama.feed_forward_length": uint32(32),
    "llama.attention.head_count": uint32(2),
    "llama.attention.layer_norm_rms_epsilon": float32(1e-5),
    "tokenizer.ggml.model": string("llama"),
    "tokenizer.ggml.tokens": strings(["<unk>", "<s>", "<0x0A>", "▁", "a", "b", "▁a", "ab", "aba"]),
    "tokenizer.ggml.token_type": array(5, [2, 3, 6, 1, 1, 1, 1, 1, 4].map(uint32)),
    "tokenizer.ggml.scores": array(6, [0, 0, 0, -3, -4, -5, -1, -2, 0].map(float32)),
    "tokenizer.ggml.add_space_prefix": boolean(true),
  },
  tensors: [],
});

/** Numbers of a model whose q is [64, 64], k and v [32, 64]. */
const arrayConfig = parseHuggingFaceConfig(file, {
  architectures: ["LlamaForCausalLM"],
  vocab_size: 16,
  hidden_size: 64,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
});

const gptq: Quantization = { method: "gptq", bits: 4, symmetric: false, addedToZeros: 1 };

export const targets: readonly Target[] = [
  {
    name: "safetensors",
    seeds: [
      safetensors(
        { w: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] }, __metadata__: { format: "pt" } },
        16,
      ),
      safetensors(
        {
          a: { dtype: "BF16", shape: [3], data_offsets: [0, 6] },
          b: { dtype: "F16", shape: [1, 5], data_offsets: [6, 16] },
        },
        16,
      ),
    ],
    parse: (bytes) => readSafetensors(inMemory(file, bytes)),
  },
  {
    name: "packed",
    seeds: [
      json(packedMetadata({ format: "w4", group: 128, source: { name: "nano", fingerprint: "0123abcd" } })),
    ],
    parse: (bytes) => {
      const metadata = readJson(inMemory(file, bytes));
      return isObject(metadata) ? readPackedMetadata(file, metadata) : undefined;
    },
  },
  {
    name: "quantization",
    seeds: [
      json({
        quantization_config: { quant_method: "gptq", bits: 4, group_size: 128, sym: true, desc_act: false },
      }),
      json({ quant_method: "awq", bits: 4, group_size: -1, version: "gemm", zero_point: true }),
      json({ w_bit: 4, q_group_size: 128, version: "GEMM" }),
    ],
    parse: (bytes) => {
      const settings = readJson(inMemory(file, bytes));
      return configQuantization(file, settings) ?? fileQuantization(file, settings);
    },
  },
  {
    name: "arrays",
    seeds: [
      safetensors(
        {
          "q_proj.qweight": { dtype: "I32", shape: [8, 64], data_offsets: [0, 2048] },
          "q_proj.scales": { dtype: "F16", shape: [1, 64], data_offsets: [2048, 2176] },
          "q_proj.qzeros": { dtype: "I32", shape: [1, 8], data_offsets: [2176, 2208] },
          "q_proj.g_idx": { dtype: "I32", shape: [64], data_offsets: [2208, 2464] },
          "q_proj.bias": { dtype: "F16", shape: [64], data_offsets: [2464, 2592] },
        },
        2592,
      ),
      safetensors(
        {
          "a.qkv_proj.qweight": { dtype: "I32", shape: [4, 256], data_offsets: [0, 4096] },
          "a.qkv_proj.scales": { dtype: "F16", shape: [2, 128], data_offsets: [4096, 4608] },
        },
        4608,
      ),
    ],
    parse: (bytes) => {
      const source = inMemory(file, bytes);
      const tensors = new Map(readSafetensors(source).map((tensor) => [tensor.name, tensor]));
      const set = { path: file, files: [{ path: file, bytes: source.size }], tensors };
      const found = (["gptq", "awq"] as const).map((method) => {
        const find = arrayFinder(set, arrayConfig, { ...gptq, method }, ({ offset, bytes: length }) =>
          source.read(offset, length),
        );
        return [find("q_proj.weight", [64, 64]), find("a.k_proj.weight", [32, 64])];
      });
      return found;
    },
  },
  {
    name: "index",
    seeds: [json({ metadata: { total_size: 16 }, weight_map: { w: "model-00001-of-00002.safetensors" } })],
    parse: (bytes) => readIndex(inMemory(file, bytes)),
  },
  {
    name: "config",
    seeds: [model("nano/config.json"), model("tiny/config.json")],
    parse: (bytes) => parseHuggingFaceConfig(file, readJson(inMemory(file, bytes))),
  },
  {
    name: "generation-config",
    seeds: [model("nano/generation_config.json")],
    parse: (bytes) => parseGenerationConfig(file, readJson(inMemory(file, bytes)), 2048),
  },
  {
    name: "tokenizer",
    seeds: [json(smallTokenizer)],
    parse: (bytes) => {
      const tokenizer = new Tokenizer(file, readJson(inMemory(file, bytes)));
      return tokenizer.decode(tokenizer.encode("a b<s>ab \u{1f600}", { special: true, bos: true }), {
        special: true,
      });
    },
  },
  {
    name: "reply",
    seeds: [
      Buffer.from(
        "<|thought_start|>\nWhy.\n<|thought_end|>\n<|tool_call_start|>\n```python\n" +
          'get-it(city="杭州",days=[1, -2.5e3],on=true)\nlog.add({\'a\': (None, r"\\n", """x\ny""")})\n```\n<|tool_call_end|>\nDone.',
      ),
      Buffer.from("<think>a</think>Text.<|tool_call_start|>f(a=\"\\u00e9\\x41\" 'b'); g()<|tool_call_end|>"),
    ],
    parse: (bytes) => readReply(bytes, pythonCalls),
  },
  {
    name: "reply-json",
    seeds: [
      Buffer.from(
        '<think>a</think>Text.\n<tool_call>\n{"name": "f", "arguments": {"a": ["\\"x</tool_call>", -1.5e3, null]}}\n</tool_call>',
      ),
      Buffer.from(
        '<tool_call>{"name": "f", "arguments": "{\\"a\\": {}}"}</tool_call><tool_call>{</tool_call>Done',
      ),
    ],
    parse: (bytes) => readReply(bytes, jsonCalls),
  },
  {
    name: "reply-xml",
    seeds: [
      Buffer.from(
        '<think>a</think>Text.\n<function name="f"><param name="a">1 &lt; 2</param><param name="b"><![CDATA[</function>]]></param></function>',
      ),
      Buffer.from("<function name='g'></function> <function name=\"f\"><param name='a'>[1]</param>Done"),
    ],
    parse: (bytes) => readReply(bytes, xmlCalls),
  },
  {
    name: "gguf",
    seeds: [checkpointAsGguf(openCheckpoint("tiny")).subarray(0, 1 << 16), smallGguf, smallSentencePiece],
    parse: (bytes) => {
      const source = inMemory(file, bytes);
      const parsed = readGguf(source);
      const config = parseGgufConfig(source, parsed);
      const written = parseHuggingFaceConfig(file, configJson({ config, tiedHead: true }));
      return [config, written, new Tokenizer(file, ggufTokenizer(file, parsed.metadata).json)];
    },
  },
];

function readReply(bytes: Uint8Array, calls: CallFormat): unknown {
  const characters = [...Buffer.from(bytes).toString("utf8")];
  const decoder = { push: (index: number) => characters[index] ?? "", end: () => "" };
  const tools = [{ name: "f", parameters: { type: "object", properties: { a: { type: "array" } } } }];
  const options = { stopTokens: new Set<number>(), stop: ["Done", "\n\n"], calls, tools };
  const reply = new Reply({ decoder: () => decoder, ...options });
  const pieces = [...reply.push({ tokens: Int32Array.from(characters.keys()) }), ...reply.end()];
  return [pieces, JSON.stringify(reply.calls)];
}

function model(path: string): Buffer {
  return readFileSync(new URL(`../../models/${path}`, import.meta.url));
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function safetensors(header: object, dataBytes: number): Buffer {
  const text = json(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}
