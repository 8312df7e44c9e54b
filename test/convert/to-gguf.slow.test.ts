/** SmolLM2 as a folder and as a GGUF file of ours, which llama.cpp reads. */
import { join } from "node:path";
import { expect } from "vitest";
import { divergence } from "../../bench/kl-divergence.ts";
import { ownLogits } from "../../bench/own-logits.ts";
import { llamaCppLogits, llamaCppPath, llamaCppTokens } from "../../bench/peers/llama-cpp.ts";
import { toGguf } from "../../src/convert/to-gguf.ts";
import { openModel } from "../../src/model/load.ts";
import { dequantize } from "../../src/quantize/dequantize.ts";
import { addonFile } from "../cli/cli-process.ts";
import { madeTexts } from "../model/made-text.ts";
import { root, testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();
const smolLm2 = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");

testNeeding(
  [addonFile, llamaCppPath, smolLm2],
  "npm run build:native, npm install --prefix bench/peers, models/smollm2/fetch",
)(
  "SmolLM2, dequantized and converted, is the same model to llama.cpp, its byte-level vocabulary too",
  async () => {
    const source = join(folder, "smollm2");
    await dequantize(smolLm2, source, { type: "F32" });
    const { tokenizer, chatTemplate } = openModel(source);
    for (const [type, most] of [
      ["F16", 1e-4],
      ["Q8_0", 3e-2],
    ] as const) {
      const file = join(folder, `${type}.gguf`);
      await toGguf(source, file, { type });
      expect(openModel(file).chatTemplate).toBe(chatTemplate);
      const texts = madeTexts(13, 200);
      expect(await llamaCppTokens(file, texts)).toEqual(
        texts.map((text) => tokenizer.encode(text, { special: true })),
      );
      const tokens = tokenizer.encode(texts.join("\n")).subarray(0, 128);
      const theirs = await llamaCppLogits(file, tokens, { threads: 2, kvType: "f32", flashAttention: false });
      const { logits } = await ownLogits(file, tokens, { threads: 2, activations: "f32" });
      expect(divergence(logits, theirs).mean).toBeLessThan(most); // it rounds activations
    }
  },
);
