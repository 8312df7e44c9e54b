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
import { type PackOptions, packingOf } from "../src/chat/packing.ts";
import { packFormats } from "../src/model/packed-model.ts";
import { klArguments } from "./kl-arguments.ts";
import { divergence } from "./kl-divergence.ts";
import { ownLogits } from "./own-logits.ts";

const { reference, model, tokens, threads, json, values } = klArguments(
  "kl-packed.ts",
  { formats: { type: "string", default: "w8,w4" }, group: { type: "string", default: "128" } },
  "[--formats w8,w4] [--group 32|64|128]",
  (own) => asked(own.formats).length > 0,
);
const packGroup = Number(values.group) as NonNullable<PackOptions["packGroup"]>;

const { logits: ground, isa } = await ownLogits(reference, tokens, { threads });
for (const pack of asked(values.formats)) {
  const packed = (activations: "f32" | "int8") =>
    ownLogits(reference, tokens, { threads, ...packingOf({ pack, packGroup, activations }, model) });
  const floats = await packed("f32");
  const rounded = await packed("int8");
  const weights = divergence(ground, floats.logits);
  const activations = divergence(floats.logits, rounded.logits);
  if (json) {
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

function asked(formats: string) {
  const names = formats.split(",");
  return packFormats.filter((format) => names.includes(format));
}
