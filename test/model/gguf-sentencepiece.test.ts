import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withFile } from "../../src/model/byte-source.ts";
import { readGguf } from "../../src/model/gguf.ts";
import type { GgufValue } from "../../src/model/gguf-cursor.ts";
import { ggufTokenizer } from "../../src/model/gguf-tokenizer.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { sharedPath, testNeeding } from "../needs.ts";
import { madeTexts } from "./made-text.ts";

const file = "model.gguf";
const llama = sharedPath("data/tokenizers/ggml-vocab-llama-spm.gguf");

/** Token, type, score. */
const vocabulary: readonly (readonly [string, number, number])[] = [
  ["<unk>", 2, 0],
  ["<s>", 3, 0],
  ["</s>", 3, 0],
  ...Array.from({ length: 256 }, (_, byte): [string, number, number] => [
    `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    6,
    0,
  ]),
  ["\\n", 4, 0],
  ["<|im_end|>", 4, 0],
  ["ab", 1, -1],
  ["bc", 1, -2],
  ["▁ab", 1, -3],
  ["aaa", 1, -4],
  ["aa", 1, -5],
  ["▁", 1, -6],
  ["a", 1, -7],
  ["b", 1, -8],
  ["c", 1, -9],
];
const ids = new Map(vocabulary.map(([token], id) => [token, id]));

function metadata(change: Readonly<Record<string, GgufValue | undefined>> = {}) {
  const all: Record<string, GgufValue | undefined> = {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": vocabulary.map(([token]) => token.replace("\\n", "\n")),
    "tokenizer.ggml.token_type": vocabulary.map(([, type]) => type),
    "tokenizer.ggml.scores": vocabulary.map(([, , score]) => score),
    ...change,
  };
  return new Map(Object.entries(all).filter((entry): entry is [string, GgufValue] => entry[1] !== undefined));
}

function make(change = {}): Tokenizer {
  const { json, addBos } = ggufTokenizer(file, metadata(change));
  return new Tokenizer(file, json, { bosToken: 1, addBos });
}

/** Tokens as the vocabulary writes them. */
const pieces = (tokenizer: Tokenizer, text: string, special = false) =>
  [...tokenizer.encode(text, { special })].map((id) => tokenizer.idToToken(id));

test("neighbours are merged by the best score, from left to right", () => {
  const tokenizer = make();
  expect(pieces(tokenizer, "abc")).toEqual(["▁ab", "c"]);
  expect(pieces(tokenizer, "bcb")).toEqual(["▁", "bc", "b"]);
  expect(pieces(tokenizer, "aaaaa")).toEqual(["▁", "aaa", "aa"]);
});

test("characters that the vocabulary lacks become bytes, and come back", () => {
  const tokenizer = make();
  expect(pieces(tokenizer, "aé")).toEqual(["▁", "a", "<0xC3>", "<0xA9>"]);
  for (const text of ["aé", " two  spaces ", "日本 🙂\n\tab"]) {
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  }
});

test("a space goes before a text unless the file says otherwise", () => {
  const without = make({ "tokenizer.ggml.add_space_prefix": false });
  expect(pieces(without, "ab ab")).toEqual(["ab", "▁ab"]);
  expect(without.decode(without.encode(" ab"))).toBe(" ab");
});

test("bos comes first unless the file says otherwise", () => {
  expect(make().prefix).toEqual([1]);
  expect(make({ "tokenizer.ggml.add_bos_token": false }).prefix).toEqual([]);
});

test("tokens that the model's user defined count where text is trusted, single characters everywhere", () => {
  const tokenizer = make();
  expect(pieces(tokenizer, "ab\nc")).toEqual(["▁ab", "\n", "c"]);
  expect(pieces(tokenizer, "ab<|im_end|>", true)).toEqual(["▁ab", "<|im_end|>"]);
  expect(pieces(tokenizer, "<|im_end|>")).not.toContain("<|im_end|>");
  expect(tokenizer.decode([ids.get("<|im_end|>") as number])).toBe("<|im_end|>");
});

test("what two others make is merged though the model's user defined it, but nothing in angle brackets", () => {
  const more: [string, number, number][] = [
    ["`", 1, -20],
    ["``", 4, 0],
    ["```", 4, 0],
    ["<", 1, -21],
    ["a>", 1, -22],
    ["<a>", 4, 0],
  ];
  const all = [...vocabulary, ...more];
  const tokenizer = make({
    "tokenizer.ggml.tokens": all.map(([token]) => token),
    "tokenizer.ggml.token_type": all.map(([, type]) => type),
    "tokenizer.ggml.scores": all.map(([, , score]) => score),
  });
  expect(pieces(tokenizer, "````")).toEqual(["▁", "```", "`"]);
  expect(pieces(tokenizer, "<a>")).not.toContain("<a>");
  expect(pieces(tokenizer, "b<a>", true)).toEqual(["▁", "b", "<a>"]);
});

test("an enormous token is never merged, and costs nothing", () => {
  const long = "a".repeat(300_000);
  const tokens = [...vocabulary.map(([token]) => token), long];
  const tokenizer = make({
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": [...vocabulary.map(([, type]) => type), 1],
    "tokenizer.ggml.scores": [...vocabulary.map(([, , score]) => score), 100],
  });
  expect(pieces(tokenizer, "aaa")).toEqual(["▁", "aaa"]);
});

test.each<[string, GgufValue | undefined, string, string]>([
  ["tokenizer.ggml.scores", undefined, `${vocabulary.length} numbers`, "nothing"],
  ["tokenizer.ggml.scores", [1, 2], `${vocabulary.length} numbers`, "2 of them"],
  ["tokenizer.ggml.token_type", "normal", `${vocabulary.length} numbers`, '"normal"'],
  ["tokenizer.ggml.tokens", 3, "a list of strings", "3"],
  ["tokenizer.ggml.add_space_prefix", 1, "true or false", "1"],
  ["tokenizer.ggml.unknown_token_id", 5000, `an integer from 0 to ${vocabulary.length - 1}`, "5000"],
])("%s of %j is refused by name", (tensor, value, expected, found) => {
  expect(() => ggufTokenizer(file, metadata({ [tensor]: value }))).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", file, tensor, expected, found }),
  );
});

testNeeding([llama])("Llama's vocabulary gives llama.cpp's ids of its 46 hard texts", () => {
  const { json, addBos } = ggufTokenizer(llama, withFile(llama, readGguf).metadata);
  const tokenizer = new Tokenizer(llama, json, { bosToken: 1, addBos });
  const texts = readFileSync(`${llama}.inp`, "utf8").split("\n__ggml_vocab_test__\n").slice(0, -1);
  const lines = readFileSync(`${llama}.out`, "utf8").split("\n");
  expect(texts).toHaveLength(46);
  texts.forEach((text, i) => {
    const expected = (lines[i] ?? "").split(" ").filter((word) => word !== "");
    expect([...tokenizer.encode(text)].map(String), JSON.stringify(text)).toEqual(expected);
  });
});

/** SentencePiece's own way: of all neighbours that make a token, the best and leftmost are joined, until none do. */
function joined(text: string, scoreOf: ReadonlyMap<string, number>): string[] {
  const symbols = Array.from(`▁${text.replaceAll(" ", "▁")}`);
  for (;;) {
    let best = -1;
    let most = -Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const score = scoreOf.get(`${symbols[i]}${symbols[i + 1]}`) ?? -Infinity;
      if (score > most) [best, most] = [i, score];
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, `${symbols[best]}${symbols[best + 1]}`);
  }
}

testNeeding([llama])("Llama's vocabulary joins 1,000 made-up texts as SentencePiece does", () => {
  const { metadata: its } = withFile(llama, readGguf);
  const tokenizer = new Tokenizer(llama, ggufTokenizer(llama, its).json);
  const [tokens, scores, types] = ["tokens", "scores", "token_type"].map((name) =>
    its.get(`tokenizer.ggml.${name}`),
  ) as [string[], number[], number[]];
  const scoreOf = new Map(
    tokens.flatMap((token, id): [string, number][] => (types[id] === 1 ? [[token, scores[id] ?? 0]] : [])),
  );
  const asBytes = (symbol: string) =>
    scoreOf.has(symbol)
      ? [symbol]
      : Array.from(Buffer.from(symbol), (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  for (const text of madeTexts(11, 1000)) {
    const expected = text === "" ? [] : joined(text, scoreOf).flatMap(asBytes);
    expect(pieces(tokenizer, text), JSON.stringify(text)).toEqual(expected);
  }
});

const miniCpm4 = sharedPath("data/tokenizers/MiniCPM4.tokenizer.json");

testNeeding([miniCpm4])("MiniCPM4's merges are those that its scores give, and so are its ids", () => {
  const json = JSON.parse(readFileSync(miniCpm4, "utf8"));
  const tokens = Object.entries<number>(json.model.vocab).sort(([, a], [, b]) => a - b);
  const theirs: string[] = json.model.merges.map((merge: string | string[]) =>
    typeof merge === "string" ? merge : merge.join(" "),
  );
  // Its scores are not in the file: a token's is its first merge's place. Those of its user come first.
  const places = new Map<string, number>();
  theirs.forEach((merge, place) => {
    const token = merge.replace(" ", "");
    if (!places.has(token)) places.set(token, place);
  });
  const typeOf = (token: string) => {
    if (token === "<unk>") return 2;
    if (/^<0x..>$/.test(token)) return 6;
    return Array.from(token).length > 1 && (places.get(token) ?? 0) < 3 ? 4 : 1;
  };
  const its = metadata({
    "tokenizer.ggml.tokens": tokens.map(([token]) => token),
    "tokenizer.ggml.token_type": tokens.map(([token]) => typeOf(token)),
    "tokenizer.ggml.scores": tokens.map(([token]) => -Math.max((places.get(token) ?? 1e6) - 2, 0)),
  });
  const made = ggufTokenizer(file, its).json as typeof json;
  expect(made.model.merges.map((pair: string[]) => pair.join(" ")).sort()).toEqual(theirs.toSorted());
  const [ours, original] = [made, json].map((each) => new Tokenizer(file, { ...each, added_tokens: [] }));
  for (const text of madeTexts(12, 1000)) {
    expect(ours?.encode(text), JSON.stringify(text)).toEqual(original?.encode(text));
  }
});
