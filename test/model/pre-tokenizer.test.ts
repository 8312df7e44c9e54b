import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer as Rust } from "tokenizers";
import { expect, test } from "vitest";
import { preTokenizer } from "../../src/model/pre-tokenizer.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { spacesAreBoundaries } from "../../src/model/tokenizer-json.ts";
import { root } from "../needs.ts";
import { madeTexts } from "./made-text.ts";

const path = join(root, "models/nano/tokenizer.json");
const nano = JSON.parse(readFileSync(path, "utf8"));

/** nano's vocabulary behind another normalizer and pre-tokenizer. */
const behind = (pre_tokenizer: unknown, normalizer: unknown = null) => ({
  ...nano,
  normalizer,
  pre_tokenizer,
});

const metaspace = (prepend_scheme: string, split: boolean) => ({
  type: "Metaspace",
  replacement: "▁",
  prepend_scheme,
  split,
});
const isolate = (Regex: string) => ({
  type: "Split",
  pattern: { Regex },
  behavior: "Isolated",
  invert: false,
});

test.each<[string, object, boolean]>([
  ["Metaspace always, unsplit", metaspace("always", false), true],
  ["Metaspace first, unsplit", metaspace("first", false), true],
  ["Metaspace never, unsplit", metaspace("never", false), true],
  ["Metaspace always, split", metaspace("always", true), false],
  ["Metaspace first, split", metaspace("first", true), false],
  ["Digits one by one", { type: "Digits", individual_digits: true }, false],
  ["Digits together", { type: "Digits", individual_digits: false }, false],
  ["Split at a String", { ...isolate(""), pattern: { String: "e" } }, false],
  ["Split, removed and inverted", { ...isolate("[^\\s]+"), behavior: "Removed", invert: true }, false],
  [
    "a Sequence",
    { type: "Sequence", pretokenizers: [isolate("\\s+"), { type: "Digits", individual_digits: true }] },
    false,
  ],
])("%s cuts as the Rust package does, and the fast path is %j", async (_, pre, fastPath) => {
  const json = behind(pre);
  const tokenizer = new Tokenizer("json", json);
  expect(tokenizer.fastPath).toBe(fastPath);
  const rust = Rust.fromString(JSON.stringify(json));
  for (const text of madeTexts(31, 200)) {
    const expected = (await rust.encode(text, null, { addSpecialTokens: false })).getIds();
    expect([...tokenizer.encode(text, { special: true })]).toEqual(expected);
  }
});

test("without pre-tokenizer the fast path hangs on the merges alone", () => {
  expect(preTokenizer("json", null, true).fastPath).toBe(true);
  expect(preTokenizer("json", null, false)).toEqual({ json: null, fastPath: false });
});

test.each<[readonly (readonly [string, string])[], boolean]>([
  [[], true],
  [
    [
      ["▁", "a"],
      ["▁", "▁"],
      ["a", "b"],
      ["▁a", "b"],
    ],
    true,
  ],
  [[["a", "▁"]], false],
  [[["▁a", "▁b"]], false],
  [[["▁▁", "▁a"]], true],
])("of the merges %j, spaces are boundaries: %j", (merges, legal) => {
  expect(spacesAreBoundaries(merges)).toBe(legal);
});

test("a vocabulary that ignores merges for whole words takes no fast path", () => {
  const json = { ...nano, model: { ...nano.model, ignore_merges: true } };
  expect(new Tokenizer("json", json).fastPath).toBe(false);
});

test.each<[string, object]>([
  ["pre-tokenizer Whitespace", behind({ type: "Whitespace" })],
  ["ByteLevel with add_prefix_space", behind({ type: "ByteLevel", add_prefix_space: true })],
  ["Split with mergedwithnext", behind({ ...isolate("a"), behavior: "MergedWithNext" })],
  ["Split with isolated and invert", behind({ ...isolate("a"), invert: true })],
  ["tokenizer model Unigram", { ...nano, model: { ...nano.model, type: "Unigram" } }],
  ["end_of_word_suffix", { ...nano, model: { ...nano.model, end_of_word_suffix: "</w>" } }],
  ["decoder WordPiece", { ...nano, decoder: { type: "WordPiece" } }],
  ["decoder Replace without a String", { ...nano, decoder: { type: "Replace", pattern: { Regex: "a" } } }],
  ["post-processor", { ...nano, post_processor: { type: "BertProcessing" } }],
])("a tokenizer with %s is unsupported, and says so", (named, json) => {
  expect(() => new Tokenizer("json", json)).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining(named) }),
  );
});

test.each<[string, object]>([
  ["model", { ...nano, model: undefined }],
  ["vocab", { ...nano, model: { ...nano.model, vocab: [] } }],
  ["vocab", { ...nano, model: { ...nano.model, vocab: { a: -1 } } }],
  ["vocab", { ...nano, model: { ...nano.model, vocab: { a: 2 ** 40 } } }],
  ["merges", { ...nano, model: { ...nano.model, merges: "a b" } }],
  ["merges", { ...nano, model: { ...nano.model, merges: ["a b c"] } }],
  ["merges", { ...nano, model: { ...nano.model, merges: [["a"]] } }],
  ["added_tokens", { ...nano, added_tokens: {} }],
  ["added_tokens.id", { ...nano, added_tokens: [{ content: "<x>" }] }],
  ["added_tokens.content", { ...nano, added_tokens: [{ id: 1, content: "" }] }],
  ["decoder", { ...nano, decoder: null }],
  ["pre_tokenizer.pretokenizers", behind({ type: "Sequence" })],
  ["pre_tokenizer.pattern", behind({ ...isolate(""), pattern: {} })],
])("a tokenizer whose %s is wrong is refused by that name", (field, json) => {
  expect(() => new Tokenizer("json", json)).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", file: "json", tensor: expect.stringContaining(field) }),
  );
});

test("a regular expression that is none is a CheckpointError of the file", () => {
  expect(() => new Tokenizer("json", behind(isolate("(")))).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", file: "json" }),
  );
});
