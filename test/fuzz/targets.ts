/** The parsers of files that anyone may have made, and of what a model says. */
import { readFileSync } from "node:fs";
import { checkpointAsGguf } from "../../src/bench/checkpoint-gguf.ts";
import { float32, ggufBytes, string, strings, uint32 } from "../../src/bench/gguf-writer.ts";
import type { CallFormat } from "../../src/chat/call-format.ts";
import { jsonCalls } from "../../src/chat/json-calls.ts";
import { pythonCalls } from "../../src/chat/python-calls.ts";
import { Reply } from "../../src/chat/reply.ts";
import { xmlCalls } from "../../src/chat/xml-calls.ts";
import { inMemory } from "../../src/model/byte-source.ts";
import { readGguf } from "../../src/model/gguf.ts";
import { parseGgufConfig } from "../../src/model/gguf-config.ts";
import { ggufTokenizer } from "../../src/model/gguf-tokenizer.ts";
import { parseGenerationConfig, parseHuggingFaceConfig } from "../../src/model/huggingface-config.ts";
import { isObject, readJson } from "../../src/model/json-fields.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { packedMetadata, readPackedMetadata } from "../../src/model/packed-model.ts";
import { readIndex, readSafetensors } from "../../src/model/safetensors.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { configJson } from "../../src/quantize/config-json.ts";
import type { Target } from "./fuzzer.ts";

const file = "fuzz";

/** A vocabulary as small as one that has a merge, an added token and byte fallback. */
const smallTokenizer = {
  version: "1.0",
  added_tokens: [{ id: 1, content: "<s>", special: true, lstrip: false, rstrip: false, normalized: false }],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
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
    unk_token: "<unk>",
    byte_fallback: true,
    fuse_unk: true,
    vocab: { "<unk>": 0, "<s>": 1, "▁": 2, a: 3, b: 4, "▁a": 5, "<0x0A>": 6 },
    merges: ["▁ a"],
  },
};

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
    seeds: [checkpointAsGguf(openCheckpoint("tiny")).subarray(0, 1 << 16), smallGguf],
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
