/** What rounding costs a model that was really trained: perplexity on WikiText-2, which calibration has not seen. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { dequantize } from "../../src/quantize/dequantize.ts";
import { type QuantizeOptions, quantize } from "../../src/quantize/quantize.ts";
import { addonFile } from "../cli/cli-process.ts";
import { root, sharedPath, testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();
const smolLm2 = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
const text = sharedPath("data/wikitext2/wiki.test.raw");

/** On 10 windows of 1,024 tokens, activations in float32. */
async function perplexity(model: string): Promise<number> {
  const bench = [join(root, "bench/run.mjs"), join(root, "bench/perplexity.ts")];
  const words = [...bench, model, text, "10", "--activations", "f32"];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  return JSON.parse(stdout).perplexity;
}

testNeeding([addonFile, smolLm2, text], "npm run build:native, models/smollm2/fetch")(
  "of what rounding SmolLM2 to nearest costs in w4, groups of 128, P-GPTQ saves at least half, and more than GPTQ",
  async () => {
    const source = join(folder, "smollm2");
    await dequantize(smolLm2, source);
    const rounded = async (name: string, options: QuantizeOptions) => {
      const out = join(folder, name);
      await quantize(source, out, options);
      return perplexity(out);
    };
    const own = await perplexity(source);
    const nearest = await rounded("nearest", { format: "w4", group: 128 });
    const gptq = await rounded("gptq", { format: "w4", group: 128, method: "gptq" });
    const pGptq = await rounded("p-gptq", { format: "w4", group: 128, method: "p-gptq" });
    expect(pGptq - own).toBeLessThan((nearest - own) / 2);
    expect(pGptq).toBeLessThan(gptq);
  },
);
