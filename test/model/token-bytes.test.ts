import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { byteCharacters, tokenBytes } from "../../src/model/token-bytes.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { root } from "../needs.ts";
import { madeTexts } from "./made-text.ts";

const path = join(root, "models/nano/tokenizer.json");
const nano = new Tokenizer(path, JSON.parse(readFileSync(path, "utf8")));

/** Tokens decoded one at a time. */
function streamed(tokens: Iterable<number>, options = {}): string[] {
  const stream = nano.decodeStream(options);
  return [...Array.from(tokens, (id) => stream.push(id)), stream.end()];
}

test("a stream's texts, joined, are the text that was encoded", () => {
  for (const text of madeTexts(21, 500)) expect(streamed(nano.encode(text)).join("")).toBe(text);
});

test("a character comes when its last byte does, whole", () => {
  const emoji = nano.encode("\u{1f9ff}"); // not in this small vocabulary: four byte tokens
  expect(emoji.length).toBeGreaterThanOrEqual(4);
  const texts = streamed(emoji);
  expect(texts.filter((text) => text !== "")).toEqual(["\u{1f9ff}"]);
  expect(texts.at(-2)).toBe("\u{1f9ff}");
});

test("bytes that are no UTF-8 become U+FFFD, at the latest at the end", () => {
  const emoji = [...nano.encode("\u{1f9ff}")];
  expect(nano.decode(emoji.slice(0, -1))).toBe("\ufffd");
  expect(nano.decode([...emoji.slice(0, -1), ...nano.encode("a")])).toBe("\ufffd a");
});

test("one space is dropped at the start of a text and nowhere else", () => {
  const tokens = [...nano.encode("Hello")];
  expect(streamed([...tokens, ...tokens]).join("")).toBe("Hello Hello");
  expect(streamed(tokens, { continued: true }).join("")).toBe(" Hello");
  expect(nano.decode(nano.encode("  two"))).toBe("  two");
});

test("special tokens show no text unless asked to", () => {
  const tokens = nano.encode("<|im_start|>user\nHi<|im_end|>", { special: true });
  expect(nano.decode(tokens)).toBe("user\nHi");
  expect(nano.decode(tokens, { special: true })).toBe("<|im_start|> user\nHi<|im_end|>");
});

test("a byte order mark stays", () => {
  expect(nano.decode(nano.encode("\ufeffa"))).toBe("\ufeffa");
});

test("ids outside the vocabulary decode to nothing", () => {
  expect(nano.decode([nano.vocabSize, 1e6, ...nano.encode("a")])).toBe("a");
});

test("100,000 tokens decode in one call", () => {
  const text = "The capital of France is Paris. ".repeat(20_000);
  const tokens = nano.encode(text);
  expect(tokens.length).toBeGreaterThan(100_000);
  expect(nano.decode(tokens)).toBe(text);
});

test("byte-level characters are a bijection, and other characters are themselves", () => {
  const rules = { byteLevel: true, byteFallback: false, replacements: [], stripStart: false };
  expect([...tokenBytes(byteCharacters.join(""), rules)]).toEqual(Array.from({ length: 256 }, (_, i) => i));
  expect(byteCharacters[32]).toBe("Ġ");
  expect(Buffer.from(tokenBytes("你", rules)).toString()).toBe("你");
});
