import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model/load.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { root, sharedPath, testNeeding } from "../needs.ts";
import { madeTexts } from "./made-text.ts";
import { withoutFastPath } from "./without-fast-path.ts";

const miniCpm4 = sharedPath("data/tokenizers/MiniCPM4.tokenizer.json");
const vectors = sharedPath("oracle/tokenizer_vectors.json");
const nanoPath = join(root, "models/nano/tokenizer.json");

const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const nano = new Tokenizer(nanoPath, read(nanoPath), { bosToken: 1 });
const imEnd = nano.addedTokenId("<|im_end|>") as number;
const imStart = nano.addedTokenId("<|im_start|>") as number;

/** What byte-fallback tokens, joiners and wide scripts make of a stream. */
const hardText =
  "👩‍👩‍👧‍👦 👍🏽🇩🇪 今天天气怎么样？\u{20bb7}野家 e\u0301 \u{1f9ff}\u{1faf6}\u{10ffff} <0x41> \u0000\u0007";

/** The texts that come of decoding up to each token, then the rest, as one stream. */
function cutEverywhere(tokenizer: Tokenizer, tokens: Int32Array): Set<string> {
  const texts = Array.from({ length: tokens.length + 1 }, (_, cut) => {
    const stream = tokenizer.decodeStream();
    return stream.pushAll(tokens.subarray(0, cut)) + stream.pushAll(tokens.subarray(cut)) + stream.end();
  });
  const single = tokenizer.decodeStream();
  return new Set([...texts, Array.from(tokens, (id) => single.push(id)).join("") + single.end()]);
}

describe("MiniCPM4's tokenizer", () => {
  const testReal = testNeeding([miniCpm4]);

  testNeeding([miniCpm4, vectors])("gives the ids and texts of all 49 vectors", () => {
    const tokenizer = new Tokenizer(miniCpm4, read(miniCpm4));
    const { cases } = read(vectors);
    const found = cases.map(({ text }: { text: string }) => {
      const ids = [...tokenizer.encode(text, { special: true })];
      return {
        text,
        ids,
        decoded: tokenizer.decode(ids, { special: true }),
        decoded_skip: tokenizer.decode(ids),
      };
    });
    expect(cases).toHaveLength(49);
    expect(found).toEqual(cases);
  });

  testReal("gives the ids of both published prompts", () => {
    const tokenizer = new Tokenizer(miniCpm4, read(miniCpm4), { bosToken: 1 });
    const openVino = "<|im_start|>user\nWhat is OpenVINO?<|im_end|>\n<|im_start|>assistant\n";
    expect([...tokenizer.encode(openVino, { special: true })]).toEqual([
      73441, 3060, 5, 5856, 1410, 6404, 59408, 2097, 59383, 74, 73440, 59320, 5, 73441, 16434, 5,
    ]);
    const france = "<|im_start|>user\nThe capital of France is<|im_end|>\n<|im_start|>assistant\n";
    expect([...tokenizer.encode(france, { special: true, bos: true })]).toEqual([
      1, 73441, 3060, 5, 2219, 8107, 1379, 8360, 1410, 73440, 59320, 5, 73441, 16434, 5,
    ]);
  });

  testReal("writes a newline after <|im_end|> as two tokens, 59320 and 5", () => {
    const tokenizer = new Tokenizer(miniCpm4, read(miniCpm4));
    expect([...tokenizer.encode("<|im_end|>\n", { special: true })]).toEqual([73440, 59320, 5]);
    const pieces = [
      { text: "Hi", trusted: false },
      { text: "<|im_end|>\n", trusted: true },
    ];
    expect([...tokenizer.encodeTemplate(pieces, { bos: false })].slice(-3)).toEqual([73440, 59320, 5]);
  });

  testReal("streams the bytes of the whole text, cut at every token", () => {
    const tokenizer = new Tokenizer(miniCpm4, read(miniCpm4));
    for (const text of [hardText, ...madeTexts(13, 100)]) {
      const tokens = tokenizer.encode(text);
      expect(tokenizer.decode(tokens)).toBe(text);
      expect(cutEverywhere(tokenizer, tokens)).toEqual(new Set([text]));
    }
  });

  testReal("takes the fast path and gives the same ids as without it", () => {
    const json = read(miniCpm4);
    const fast = new Tokenizer("fast", json);
    const slow = new Tokenizer("slow", withoutFastPath(json));
    expect([fast.fastPath, slow.fastPath]).toEqual([true, false]);
    for (const text of [...madeTexts(11, 500), "▁▁a▁ ▁b", " ▁ "])
      expect(fast.encode(text)).toEqual(slow.encode(text));
  });
});

test("nano's fast path gives the same ids as without it", () => {
  const slow = new Tokenizer("slow", withoutFastPath(read(nanoPath)));
  expect([nano.fastPath, slow.fastPath]).toEqual([true, false]);
  for (const text of madeTexts(12, 500)) expect(nano.encode(text)).toEqual(slow.encode(text));
});

test.each(["nano", "tiny"])(
  "%s's tokenizer streams the bytes of the whole text, cut at every token",
  (name) => {
    const path = join(root, `models/${name}/tokenizer.json`);
    const tokenizer = new Tokenizer(path, read(path));
    for (const text of [hardText, ...madeTexts(14, 50)]) {
      const tokens = tokenizer.encode(text);
      expect(cutEverywhere(tokenizer, tokens)).toEqual(new Set([text]));
    }
  },
);

test("text never becomes a special token, trusted text does", () => {
  const specials = new Set(nano.addedTokens.map(({ id }) => id));
  const text = nano.addedTokens.map(({ content }) => content).join(" and ");
  expect([...nano.encode(text)].filter((id) => specials.has(id))).toEqual([]);
  expect(nano.decode(nano.encode(text))).toBe(text);
  const parsed = [...nano.encode(text, { special: true })].filter((id) => specials.has(id));
  expect(parsed).toEqual(nano.addedTokens.map(({ id }) => id));
});

test("no vocabulary that can merge a special token together gives it to text", () => {
  const json = read(nanoPath);
  const hostile = {
    ...json,
    pre_tokenizer: null,
    normalizer: null,
    model: {
      ...json.model,
      ignore_merges: true,
      merges: [
        ["<", "s"],
        ["<s", ">"],
      ],
    },
  };
  const tokenizer = new Tokenizer("hostile", hostile);
  const tokens = [...tokenizer.encode("<s>")];
  expect(tokens).not.toContain(1);
  expect(tokenizer.idToToken(tokens.at(-1) ?? -1)).toBe(">"); // the merge is gone too, not only its result
});

test("template and content between two specials are encoded as one string", () => {
  const pieces = [
    { text: "<|im_start|>user\nHel", trusted: true },
    { text: "lo the", trusted: false },
    { text: "re<|im_end|>\n", trusted: true },
  ];
  const whole = nano.encode("<|im_start|>user\nHello there<|im_end|>\n", { special: true });
  expect(nano.encodeTemplate(pieces, { bos: false })).toEqual(whole);
});

test("special tokens in content stay text, also where template text completes them", () => {
  const pieces = [
    { text: "<|im_start|>", trusted: true },
    { text: "a<|im_end|>b<|im_", trusted: false },
    { text: "end|>", trusted: true },
    { text: "<|im_end|>", trusted: true },
  ];
  const tokens = [...nano.encodeTemplate(pieces, { bos: false })];
  expect(tokens.filter((id) => id === imEnd || id === imStart)).toEqual([imStart, imEnd]);
  expect(tokens.at(-1)).toBe(imEnd);
  expect(nano.decode(tokens.slice(1, -1))).toBe("a<|im_end|>b<|im_end|>");
});

test("a special token may be written by two trusted pieces", () => {
  const pieces = [
    { text: "<|im_", trusted: true },
    { text: "", trusted: false },
    { text: "start|>", trusted: true },
  ];
  expect([...nano.encodeTemplate(pieces, { bos: false })]).toEqual([imStart]);
});

test("bos comes once, whoever writes it", () => {
  expect(nano.encode("Hi", { bos: true })[0]).toBe(1);
  expect(nano.encode("Hi")[0]).not.toBe(1);
  const doubled = nano.encode("<s>Hi", { bos: true, special: true });
  expect(doubled).toEqual(nano.encode("Hi", { bos: true }));
  expect([...nano.encode("", { bos: true })]).toEqual([1]);
});

test("a loader's word on bos goes before the file's", () => {
  const make = (addBos: boolean | undefined) =>
    new Tokenizer("nano", read(nanoPath), { bosToken: 1, addBos });
  expect([undefined, true, false].map((addBos) => make(addBos).prefix)).toEqual([[1], [1], []]);
});

test("tokens know their bytes, and those that are none have none", () => {
  const [space] = nano.encode(" ");
  expect(Buffer.from(nano.idToBytes(space as number)).toString()).toMatch(/^ +$/);
  expect(Buffer.from(nano.idToBytes(imEnd)).toString()).toBe("<|im_end|>");
  expect([...nano.idToBytes(nano.encode("\u0007").at(-1) as number)]).toEqual([7]);
  for (const id of [-1, nano.vocabSize, 1e9, Number.NaN]) expect(nano.idToBytes(id)).toHaveLength(0);
  expect([nano.isSpecial(imEnd), nano.isSpecial(space as number)]).toEqual([true, false]);
});

test("white space beside a token that swallows it is gone", () => {
  const json = read(nanoPath);
  const added = json.added_tokens.map((token: { content: string }) =>
    token.content === "<|im_end|>" ? { ...token, lstrip: true, rstrip: true } : token,
  );
  const tokenizer = new Tokenizer("strip", { ...json, added_tokens: added });
  expect(tokenizer.encode("a  <|im_end|> \n b", { special: true })).toEqual(
    nano.encode("a<|im_end|>b", { special: true }),
  );
});

const smolLm2 = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
const golden = join(root, "test/golden/smollm2/golden.json");

testNeeding([smolLm2, golden], "models/smollm2/fetch")(
  "SmolLM2's gives the ids of all eight golden prompts",
  () => {
    const { tokenizer } = openModel(smolLm2);
    const { rows } = read(golden) as { rows: { text: string; ids: number[] }[] };
    expect(rows).toHaveLength(8);
    for (const { text, ids } of rows)
      expect([...tokenizer.encode(text, { special: true, bos: true })]).toEqual(ids);
  },
);
