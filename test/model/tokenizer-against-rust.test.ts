import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer as Rust } from "tokenizers";
import { expect, test } from "vitest";
import { withFile } from "../../src/model/byte-source.ts";
import { readGguf } from "../../src/model/gguf.ts";
import { ggufTokenizer } from "../../src/model/gguf-tokenizer.ts";
import { openModel } from "../../src/model/load.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { root, sharedPath, testNeeding } from "../needs.ts";
import { madeTexts } from "./made-text.ts";

const miniCpm4 = sharedPath("data/tokenizers/MiniCPM4.tokenizer.json");
const nano = join(root, "models/nano/tokenizer.json");
const llamaSpm = sharedPath("data/tokenizers/ggml-vocab-llama-spm.gguf");
const smolLm2 = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");

const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));

/** Texts that the two encode differently, with both encodings. */
async function differences(json: object, ours: Tokenizer, texts: readonly string[], special: boolean) {
  const rust = Rust.fromString(JSON.stringify(special ? json : { ...json, added_tokens: [] }));
  const found: object[] = [];
  for (const text of texts) {
    const expected = (await rust.encode(text, null, { addSpecialTokens: false })).getIds();
    const tokens = [...ours.encode(text, { special })];
    if (JSON.stringify(tokens) !== JSON.stringify(expected)) found.push({ text, tokens, expected });
  }
  return found;
}

test("nano's tokenizer encodes 1,500 made-up texts as the Rust package does", async () => {
  const json = read(nano);
  const tokenizer = new Tokenizer(nano, json);
  expect(await differences(json, tokenizer, madeTexts(1, 1000), false)).toEqual([]);
  expect(await differences(json, tokenizer, madeTexts(2, 500), true)).toEqual([]);
});

testNeeding([miniCpm4])("MiniCPM4's encodes 3,500 made-up texts as the Rust package does", async () => {
  const json = read(miniCpm4);
  const tokenizer = new Tokenizer(miniCpm4, json);
  expect(tokenizer.fastPath).toBe(true);
  expect(await differences(json, tokenizer, madeTexts(3, 3000), false)).toEqual([]);
  expect(await differences(json, tokenizer, madeTexts(4, 500), true)).toEqual([]);
});

testNeeding([miniCpm4])("MiniCPM4's decodes as the Rust package does", async () => {
  const json = read(miniCpm4);
  const tokenizer = new Tokenizer(miniCpm4, json);
  const rust = Rust.fromString(JSON.stringify(json));
  for (const text of madeTexts(5, 500)) {
    const tokens = tokenizer.encode(text, { special: true, bos: true });
    expect(tokenizer.decode(tokens)).toBe(await rust.decode([...tokens], true));
    expect(tokenizer.decode(tokens, { special: true })).toBe(await rust.decode([...tokens], false));
  }
});

testNeeding([smolLm2], "models/smollm2/fetch")(
  "SmolLM2's, out of its GGUF file, encodes 2,000 texts as Rust does",
  async () => {
    const { tokenizer } = openModel(smolLm2);
    const { metadata } = withFile(smolLm2, readGguf);
    // As Hugging Face writes it: our rules say the same with other parts.
    const json = {
      ...ggufTokenizer(smolLm2, metadata).json,
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "Digits", individual_digits: true },
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
        ],
      },
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    };
    expect(await differences(json, tokenizer, madeTexts(6, 1500), false)).toEqual([]);
    expect(await differences(json, new Tokenizer("json", json), madeTexts(7, 500), false)).toEqual([]);
  },
);

testNeeding([smolLm2], "models/smollm2/fetch")(
  "a GGUF file whose text is cut as Qwen's encodes 2,000 texts as Rust does",
  async () => {
    const { metadata } = withFile(smolLm2, readGguf);
    const { json: ours } = ggufTokenizer(smolLm2, new Map([...metadata, ["tokenizer.ggml.pre", "qwen2"]]));
    // Qwen2's tokenizer.json, but for its normalizer, which GGUF has no name for.
    const regex =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" +
      "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    const json = {
      ...ours,
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
        ],
      },
      decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    };
    const tokenizer = new Tokenizer(smolLm2, ours);
    expect(await differences(json, tokenizer, madeTexts(11, 1500), false)).toEqual([]);
    expect(await differences(json, tokenizer, madeTexts(12, 500), true)).toEqual([]);
  },
);

testNeeding([llamaSpm])(
  "Llama's SentencePiece vocabulary, out of a GGUF file, encodes 3,000 texts as Rust does",
  async () => {
    const { metadata } = withFile(llamaSpm, readGguf);
    const { json } = ggufTokenizer(llamaSpm, metadata);
    const tokenizer = new Tokenizer(llamaSpm, json);
    expect(await differences(json, tokenizer, madeTexts(8, 2500), false)).toEqual([]);
    expect(await differences(json, tokenizer, madeTexts(9, 500), true)).toEqual([]);
    const rust = Rust.fromString(JSON.stringify(json));
    for (const text of madeTexts(10, 300)) {
      const tokens = [...tokenizer.encode(text)];
      expect(tokenizer.decode(tokens)).toBe(await rust.decode(tokens, true));
    }
  },
);
