import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { planTokenizer } from "../../src/model/tokenizer-json.ts";
import { root } from "../needs.ts";

const file = "tokenizer.json";
const small = {
  added_tokens: [{ id: 4, content: "<s>", special: true }],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: { type: "Fuse" },
  model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] },
};
const model = (change: object) => ({ model: { ...small.model, ...change } });
const added = (change: object) => ({ added_tokens: [{ id: 4, content: "<s>", ...change }] });

const plan = (change: object = {}) => planTokenizer(file, { ...small, ...change });

test("tokens have their places by id, added ones too, and gaps have none", () => {
  expect([...plan().tokens]).toEqual(["a", "b", "ab", undefined, "<s>"]);
  expect(plan().addedTokens).toEqual([
    { id: 4, content: "<s>", special: true, lstrip: false, rstrip: false },
  ]);
});

test("merges may be pairs or texts", () => {
  expect(plan(model({ merges: [["a", "b"]] })).json).toEqual(plan().json);
});

test("__proto__ is a token like any other", () => {
  const vocab = Object.fromEntries([
    ["_", 0],
    ["__proto__", 1],
    ["toString", 2],
  ]);
  expect([...plan(model({ vocab, merges: [] })).tokens].slice(0, 3)).toEqual(["_", "__proto__", "toString"]);
  const tokenizer = new Tokenizer(file, { ...small, ...model({ vocab, merges: [] }) });
  expect(tokenizer.decode([1, 2])).toBe("__proto__toString");
});

test("what a template puts before a text is the prefix", () => {
  const processor = (single: unknown) => ({
    post_processor: {
      type: "TemplateProcessing",
      single,
      special_tokens: { "<s>": { id: "<s>", ids: [4], tokens: ["<s>"] } },
    },
  });
  const bos = { SpecialToken: { id: "<s>", type_id: 0 } };
  const text = { Sequence: { id: "A", type_id: 0 } };
  expect(plan(processor([bos, text])).prefix).toEqual([4]);
  expect(plan(processor([text, bos])).prefix).toEqual([]);
  expect(plan({ post_processor: { type: "ByteLevel" } }).prefix).toEqual([]);
  expect(() => plan(processor([{ SpecialToken: { id: "<x>" } }]))).toThrow(
    expect.objectContaining({
      tensor: "post_processor",
      expected: "special_tokens with ids",
      found: '"<x>"',
    }),
  );
});

test.each<[string, object, string]>([
  ["model", { model: undefined }, "nothing"],
  ["model", { model: [] }, "[]"],
  ["model.vocab", model({ vocab: ["a"] }), "a list of 1"],
  ['model.vocab "a"', model({ vocab: { a: -1 } }), "-1"],
  ['model.vocab "a"', model({ vocab: { a: 0.5 } }), "0.5"],
  ['model.vocab "a"', model({ vocab: { a: "0" } }), '"0"'],
  ['model.vocab "a"', model({ vocab: { a: 2 ** 32 } }), String(2 ** 32)],
  ["model.merges", model({ merges: undefined }), "nothing"],
  ["model.merges", model({ merges: ["a"] }), '"a"'],
  ["model.merges", model({ merges: ["a b c"] }), '"a b c"'],
  ["model.merges", model({ merges: [["a", 1]] }), "a list of 2"],
  ["model.byte_fallback", model({ byte_fallback: "yes" }), '"yes"'],
  ["added_tokens", { added_tokens: {} }, "{}"],
  ["added_tokens", { added_tokens: [7] }, "7"],
  ["added_tokens.content", added({ content: "" }), '""'],
  ["added_tokens.id", added({ id: -1 }), "-1"],
  ["added_tokens.id", added({ id: 2 ** 30 }), String(2 ** 30)],
  ["added_tokens.special", added({ special: 1 }), "1"],
  ["normalizer.pattern", { normalizer: { type: "Replace", pattern: {}, content: "" } }, "{}"],
  ["normalizer.normalizers", { normalizer: { type: "Sequence" } }, "nothing"],
  ["decoder", { decoder: null }, "nothing"],
  ["decoder.decoders", { decoder: { type: "Sequence", decoders: 1 } }, "1"],
])("%s of %j is refused by name", (tensor, change, found) => {
  expect(() => plan(change)).toThrow(
    expect.objectContaining({
      code: "CHECKPOINT",
      file,
      tensor,
      found,
      expected: expect.stringMatching(/./),
    }),
  );
});

test.each([null, 3, "text", []])("%j is no tokenizer", (json) => {
  expect(() => planTokenizer(file, json)).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", file, tensor: "", expected: "a JSON object" }),
  );
});

test.each<[string, object]>([
  ["The tokenizer model Unigram", model({ type: "Unigram" })],
  ["continuing_subword_prefix", model({ continuing_subword_prefix: "##" })],
  ["end_of_word_suffix", model({ end_of_word_suffix: "</w>" })],
  ['The post-processor "BertProcessing"', { post_processor: { type: "BertProcessing" } }],
  ["The decoder WordPiece", { decoder: { type: "WordPiece" } }],
])("%s is not supported", (what, change) => {
  expect(() => plan(change)).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", what: `${what} (in ${file})` }),
  );
});

test("a real tokenizer.json without its vocabulary or its merges is refused by name", () => {
  const whole = JSON.parse(readFileSync(join(root, "models/tiny/tokenizer.json"), "utf8"));
  for (const part of ["vocab", "merges"]) {
    const { [part]: _, ...rest } = whole.model;
    expect(() => new Tokenizer(file, { ...whole, model: rest })).toThrow(
      expect.objectContaining({ code: "CHECKPOINT", tensor: `model.${part}` }),
    );
  }
});
