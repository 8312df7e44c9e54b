import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { divergence } from "../../bench/kl-divergence.ts";
import { ownLogits } from "../../bench/own-logits.ts";
import { llamaCppLogits, llamaCppPath, llamaCppTokens } from "../../bench/peers/llama-cpp.ts";
import { toGguf } from "../../src/convert/to-gguf.ts";
import { checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import { withFile } from "../../src/model/byte-source.ts";
import { readGguf } from "../../src/model/gguf.ts";
import { openCheckpoint, openModel } from "../../src/model/load.ts";
import { dequantize } from "../../src/quantize/dequantize.ts";
import { quantize } from "../../src/quantize/quantize.ts";
import { addonFile, nano, testNative as test } from "../cli/cli-process.ts";
import { testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();

const testPeer = testNeeding(
  [addonFile, llamaCppPath],
  "npm run build:native, npm install --prefix bench/peers",
);

const texts = [
  "Hello world, this is a test of 12345 numbers.",
  "<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n",
  "Grüße, 你好 🙂\n\n\tx = 5;  two  spaces",
  " leading space",
];

testPeer("llama.cpp cuts texts into the tokens of the folder that a file was made of", async () => {
  const file = join(folder, "tokens.gguf");
  await toGguf(nano, file, { type: "F16" });
  const { tokenizer } = openModel(nano);
  expect(await llamaCppTokens(file, texts)).toEqual(
    texts.map((text) => tokenizer.encode(text, { special: true })),
  );
});

testPeer.each([
  ["F16", 1e-4],
  ["Q8_0", 3e-3],
  ["Q4_0", 3e-3],
] as const)("llama.cpp answers from a file in %s as we do", async (type, most) => {
  const file = join(folder, `answers-${type}.gguf`);
  await toGguf(nano, file, { type });
  const tokens = openModel(nano).tokenizer.encode(texts.join("\n").repeat(2), { bos: true });
  const theirs = await llamaCppLogits(file, tokens, { threads: 1, kvType: "f32", flashAttention: false });
  const { logits } = await ownLogits(file, tokens, { threads: 1, activations: "f32" });
  expect(divergence(logits, theirs).mean).toBeLessThan(most); // it rounds activations
});

test("a byte-level vocabulary, merges and chat template come back from a file", async () => {
  const source = join(folder, "bytes.gguf");
  writeFileSync(source, checkpointAsGguf(openCheckpoint(nano)));
  const there = join(folder, "there");
  await dequantize(source, there);
  const back = join(folder, "back.gguf");
  await toGguf(there, back, { type: "F16" });
  const [one, other] = [openModel(there), openModel(back)];
  for (const text of texts) expect(other.tokenizer.encode(text)).toEqual(one.tokenizer.encode(text));
  expect(other.chatTemplate).toBe(one.chatTemplate);
  expect(other.stopTokens).toEqual(one.stopTokens);
});

test("a SentencePiece vocabulary has a score for each token, higher the sooner it is merged", async () => {
  const file = join(folder, "pieces.gguf");
  await toGguf(nano, file, { type: "Q8_0" });
  const { metadata } = withFile(file, readGguf);
  const json = JSON.parse(readFileSync(join(nano, "tokenizer.json"), "utf8"));
  const tokens = metadata.get("tokenizer.ggml.tokens") as string[];
  const scores = metadata.get("tokenizer.ggml.scores") as number[];
  const types = metadata.get("tokenizer.ggml.token_type") as number[];
  expect([tokens.length, scores.length, types.length]).toEqual([2048, 2048, 2048]);
  for (const [content, id] of Object.entries<number>(json.model.vocab)) expect(tokens[id]).toBe(content);
  const ranks = (json.model.merges as string[]).map(
    (pair) => -(scores[tokens.indexOf(pair.replace(" ", ""))] ?? 0),
  );
  expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
  expect(types[tokens.indexOf("<unk>")]).toBe(2);
  expect(types[tokens.indexOf("<|im_end|>")]).toBe(3);
  expect(types[tokens.indexOf("<0x0A>")]).toBe(6);
  expect(metadata.get("tokenizer.ggml.add_bos_token")).toBe(true);
});

test("what cannot be converted, or is there, is told, and nothing stays", async () => {
  const packed = join(folder, "packed");
  await quantize(nano, packed, { format: "w4", group: 32, method: "rtn" });
  const out = join(folder, "refused.gguf");
  await expect(toGguf(packed, out, { type: "F16" })).rejects.toMatchObject({ code: "UNSUPPORTED" });
  writeFileSync(out, "somebody's");
  await expect(toGguf(nano, out, { type: "F16" })).rejects.toMatchObject({ code: "OPTION" });
  expect(readFileSync(out, "utf8")).toBe("somebody's");
  const controller = new AbortController();
  controller.abort();
  const aborted = join(folder, "aborted.gguf");
  await expect(toGguf(nano, aborted, { type: "Q4_0", signal: controller.signal })).rejects.toMatchObject({
    name: "AbortError",
  });
  expect(existsSync(aborted)).toBe(false);
  expect(readdirSync(folder).filter((name) => name.includes("unfinished"))).toEqual([]);
});
