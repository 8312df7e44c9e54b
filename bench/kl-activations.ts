/**
 * What rounded activations cost, ours and llama.cpp's, on the same file of quantized weights: KL divergences of the
 * next-token distributions at every position from ours with float32 activations.
 *
 * Usage: node bench/run.mjs bench/kl-activations.ts MODEL [TEXT_FILE] [--type q8_0|q4_0] [--tokens N] [--threads N]
 *                                                   [--json]
 * MODEL is a GGUF file that is taken as it is, or with `--type` any model, written so in the temporary folder. TEXT_FILE
 * (README.md) is encoded by the model's own tokenizer, its first N tokens (512) are run; keys and values are float32 in both.
 * Wants `npm install --prefix bench/peers`. Exit code 1 where our mean is more than 1.1 of llama.cpp's.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { peerWeights } from "../src/bench/peer-file.ts";
import { packingOf } from "../src/chat/packing.ts";
import { checkpointAsGguf } from "../src/gguf/checkpoint-gguf.ts";
import { openModel } from "../src/model/load.ts";
import { klArguments } from "./kl-arguments.ts";
import { divergence } from "./kl-divergence.ts";
import { ownLogits } from "./own-logits.ts";
import { llamaCppLogits } from "./peers/llama-cpp.ts";

/** Of our mean KL over llama.cpp's. */
const limit = 1.1;

const types = { q8_0: "Q8_0", q4_0: "Q4_0" } as const;

const { model, tokens, threads, json, values } = klArguments(
  "kl-activations.ts",
  { type: { type: "string" } },
  "[--type q8_0|q4_0]",
  ({ type }) => type === undefined || type in types,
);
const type = types[values.type as keyof typeof types] as (typeof types)[keyof typeof types] | undefined;

const folder = mkdtempSync(join(tmpdir(), "minicpm-kl-"));
try {
  let { path } = model;
  if (type) {
    path = join(folder, "model.gguf");
    writeFileSync(path, checkpointAsGguf(model, peerWeights(type)));
  }
  const own = (activations: "f32" | "int8") =>
    ownLogits(path, tokens, { threads, ...packingOf({ activations }, openModel(path)) });
  const { isa, logits: exact } = await own("f32");
  const ours = divergence(exact, (await own("int8")).logits);
  const theirs = divergence(
    exact,
    await llamaCppLogits(path, tokens, { threads, kvType: "f32", flashAttention: false }),
  );
  const ratio = ours.mean / theirs.mean;
  if (json) {
    console.log(JSON.stringify({ model: model.name, type: type ?? "its own", isa, ours, theirs, ratio }));
  } else {
    for (const [who, { positions, mean, max, sameBest }] of Object.entries({ ours, "llama.cpp": theirs })) {
      console.log(
        `${model.name}  ${type ?? "as it is"}  ${isa}  positions ${positions}  ${who.padEnd(9)}  ` +
          `mean KL ${mean.toExponential(2)}   max ${max.toExponential(2)}   ` +
          `same best token ${((100 * sameBest) / positions).toFixed(1)} %`,
      );
    }
    console.log(`ours / llama.cpp ${ratio.toFixed(2)}`);
  }
  if (ratio > limit) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
