/**
 * What packing costs: KL divergences of the next-token distributions at every position, for each format,
 *
 *   weights       KL(the model's own weights || packed ones), activations in f32
 *   activations   KL(f32 || int8), the same packed weights
 *
 * Usage: node bench/run.mjs bench/kl-packed.ts MODEL [TEXT_FILE] [--formats w8,w4] [--group 32|64|128] [--tokens N]
 *                                              [--threads N] [--json]
 * TEXT_FILE (README.md) is encoded by the model's own tokenizer, its first N tokens (512) are run.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type PackOptions, packingOf } from "../src/chat/packing.ts";
import { openModel } from "../src/model/load.ts";
import { packFormats } from "../src/model/packed-model.ts";
import { divergence } from "./kl-divergence.ts";
import { ownLogits } from "./own-logits.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    formats: { type: "string", default: "w8,w4" },
    group: { type: "string", default: "128" },
    tokens: { type: "string", default: "512" },
    threads: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});
const [reference, file = fileURLToPath(new URL("../README.md", import.meta.url))] = positionals;
const formats = packFormats.filter((format) => values.formats.split(",").includes(format));
const packGroup = Number(values.group) as NonNullable<PackOptions["packGroup"]>;
const count = Number(values.tokens);
const threads = Number(values.threads);
if (
  !reference ||
  positionals.length > 2 ||
  formats.length === 0 ||
  ![count, threads].every((number) => Number.isInteger(number) && number > 0)
) {
  console.error(
    "usage: node bench/run.mjs bench/kl-packed.ts MODEL [TEXT_FILE] [--formats w8,w4] [--group 32|64|128] " +
      "[--tokens N] [--threads N] [--json]",
  );
  process.exit(2);
}

const model = openModel(reference);
const most = Math.min(count, model.config.maxContext);
const tokens = model.tokenizer.encode(readFileSync(file, "utf8"), { bos: true }).subarray(0, most);
const { logits: ground, isa } = await ownLogits(reference, tokens, { threads });
for (const pack of formats) {
  const packed = (activations: "f32" | "int8") =>
    ownLogits(reference, tokens, { threads, ...packingOf({ pack, packGroup, activations }, model) });
  const floats = await packed("f32");
  const rounded = await packed("int8");
  const weights = divergence(ground, floats.logits);
  const activations = divergence(floats.logits, rounded.logits);
  if (values.json) {
    console.log(JSON.stringify({ model: model.name, isa, pack, packGroup, weights, activations }));
    continue;
  }
  for (const [what, { positions, mean, max, sameBest }] of Object.entries({ weights, activations })) {
    console.log(
      `${model.name}  ${pack} g${packGroup}  ${isa}  positions ${positions}  ${what.padEnd(11)}  ` +
        `mean KL ${mean.toExponential(2)}   max ${max.toExponential(2)}   ` +
        `same best token ${((100 * sameBest) / positions).toFixed(1)} %`,
    );
  }
}
