import { expect, test } from "vitest";
import type { GgufValue } from "../../src/model/gguf-cursor.ts";
import { ggufTokenizer } from "../../src/model/gguf-tokenizer.ts";
import { byteCharacters } from "../../src/model/token-bytes.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";

const file = "model.gguf";
const tokens = [...byteCharacters, "he", "<|im_end|>", "__proto__"];
const imEnd = tokens.indexOf("<|im_end|>");

const metadata = (change: Readonly<Record<string, GgufValue | undefined>> = {}) => {
  const all: Record<string, GgufValue | undefined> = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": tokens.map((_, id) => (id === imEnd ? 3 : 1)),
    "tokenizer.ggml.merges": ["h e"],
    ...change,
  };
  return new Map(Object.entries(all).filter((entry): entry is [string, GgufValue] => entry[1] !== undefined));
};

const make = (change = {}) => new Tokenizer(file, ggufTokenizer(file, metadata(change)).json);

test("a vocabulary encodes by its merges and decodes to the same text", () => {
  const tokenizer = make();
  expect([...tokenizer.encode("hehe!")]).toEqual(["he", "he", "!"].map((token) => tokens.indexOf(token)));
  const text = "Grüße,\n\t你好 👩‍👩‍👧‍👦 1234 \u0000";
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
});

test("control tokens in text stay text, unless it is trusted", () => {
  const tokenizer = make();
  expect([...tokenizer.encode("<|im_end|>")]).not.toContain(imEnd);
  expect([...tokenizer.encode("<|im_end|>", { special: true })]).toEqual([imEnd]);
});

test("__proto__ is a token like any other", () => {
  const tokenizer = make();
  expect(tokenizer.decode([tokens.indexOf("__proto__")])).toBe("__proto__");
  expect(tokenizer.decode(tokenizer.encode("__proto__"))).toBe("__proto__");
});

test.each(["default", "gpt-2", "llama-bpe", "qwen2", "smollm"])("pre-tokenizer %s is known", (pre) => {
  const tokenizer = make({ "tokenizer.ggml.pre": pre });
  expect(tokenizer.decode(tokenizer.encode("I'll pay 12345 €!"))).toBe("I'll pay 12345 €!");
});

test.each<[Record<string, GgufValue | undefined>, string]>([
  [{ "tokenizer.ggml.model": "bert" }, 'The vocabulary "bert" of model.gguf'],
  [{ "tokenizer.ggml.model": undefined }, 'The vocabulary "none" of model.gguf'],
  [{ "tokenizer.ggml.pre": "tekken" }, 'The pre-tokenizer "tekken" of model.gguf'],
  [{ "tokenizer.ggml.pre": "__proto__" }, 'The pre-tokenizer "__proto__" of model.gguf'],
])("%o is not supported", (change, what) => {
  expect(() => ggufTokenizer(file, metadata(change))).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", what }),
  );
});

test.each<[string, GgufValue | undefined, string, string]>([
  ["tokenizer.ggml.tokens", undefined, "a list of strings", "nothing"],
  ["tokenizer.ggml.tokens", "abc", "a list of strings", '"abc"'],
  ["tokenizer.ggml.tokens", ["a", 7], "a list of strings", "7"],
  ["tokenizer.ggml.merges", undefined, "a list of strings", "nothing"],
  ["tokenizer.ggml.merges", [1], "a list of strings", "1"],
  ["tokenizer.ggml.token_type", [1, 2], `${tokens.length} types`, "2"],
  ["tokenizer.ggml.token_type", "normal", `${tokens.length} types`, '"normal"'],
  ["tokenizer.ggml.add_bos_token", 1, "true or false", "1"],
  ["tokenizer.ggml.pre", 3, "a string", "3"],
])("%s of %j is refused by name", (tensor, value, expected, found) => {
  const change = { "tokenizer.ggml.token_type": undefined, [tensor]: value };
  expect(() => ggufTokenizer(file, metadata(change))).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", file, tensor, expected, found }),
  );
});
