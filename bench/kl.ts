/**
 * Ours against llama.cpp on the same float weights and the same tokens: KL(theirs || ours) of the next-token
 * distributions at every position. Both run float32 keys and values on the CPU, and float32 activations, which llama.cpp
 * rounds to the type of the weights.
 *
 * Usage: node bench/run.mjs bench/kl.ts MODEL [TEXT_FILE] [--tokens N] [--threads N] [--peer-kv f32|f16]
 *                                       [--peer-flash] [--json]
 * A GGUF file of floats is taken as it is; any other MODEL is written as one of F32 in the temporary folder. Both engines
 * read that file. TEXT_FILE (README.md) is encoded by the model's own tokenizer, its first N tokens (512) are run.
 * `--peer-kv f16` and `--peer-flash` (f16 too, inside) show what llama.cpp's usual settings cost.
 * Wants `npm install --prefix bench/peers`. Exit code 1 where a position's KL is 1e-4 or more, or with
 * BF16, to which llama.cpp rounds activations then, the mean is 3e-4 or more.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkpointAsGguf } from "../src/gguf/checkpoint-gguf.ts";
import { ggufArchitecture } from "../src/gguf/gguf-metadata.ts";
import type { OpenedModel } from "../src/model/opened-model.ts";
import { klArguments } from "./kl-arguments.ts";
import { type Divergence, divergence } from "./kl-divergence.ts";
import { ownLogits } from "./own-logits.ts";
import { llamaCppLogits } from "./peers/llama-cpp.ts";

const floatTypes = ["F32", "F16", "BF16"];

/** Nats; what the comparison has to stay below at every position. */
const limit = 1e-4;

/** Nats; what its mean has to stay below where weights are BF16. */
const meanLimit = 3e-4;

const { model, tokens, threads, json, values } = klArguments(
  "kl.ts",
  { "peer-kv": { type: "string", default: "f32" }, "peer-flash": { type: "boolean", default: false } },
  "[--peer-kv f32|f16] [--peer-flash]",
  (own) => own["peer-kv"] === "f32" || own["peer-kv"] === "f16",
);

const folder = mkdtempSync(join(tmpdir(), "minicpm-kl-"));
try {
  const { path, architecture, types } = asFloatGguf(model, folder);
  const kvType = values["peer-kv"] as "f32" | "f16";
  const flashAttention = values["peer-flash"];
  const theirs = await llamaCppLogits(path, tokens, { threads, kvType, flashAttention });
  const { isa, logits: ours } = await ownLogits(path, tokens, { threads });
  const result = divergence(theirs, ours);
  console.log(
    json
      ? JSON.stringify({ model: model.name, architecture, isa, kvType, flashAttention, ...result })
      : line(`${model.name}  ${architecture}  ${isa}`, result),
  );
  const within = types.has("BF16") ? result.mean < meanLimit : result.max < limit;
  if (!within) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}

/** The model as a GGUF file of floats: its own where it is one, else a new one in `folder`. */
function asFloatGguf(model: OpenedModel, folder: string) {
  const types = new Set<string>(Object.values(model.plan.weights).map(({ dtype }) => dtype));
  if (model.format === "gguf" && [...types].every((type) => floatTypes.includes(type))) {
    return { path: model.path, architecture: model.config.architecture, types };
  }
  const path = join(folder, "model.gguf");
  writeFileSync(path, checkpointAsGguf(model, { matrices: "F32" }));
  return { path, architecture: ggufArchitecture(model.config), types: new Set(["F32"]) };
}

function line(subject: string, result: Divergence): string {
  const { positions, vocabulary, mean, max, maxAt, sameBest, logProbabilityGap } = result;
  return (
    `${subject}  positions ${positions}  vocabulary ${vocabulary}   mean KL ${mean.toExponential(1)}` +
    `   max ${max.toExponential(1)} at ${maxAt}   same best token ${((100 * sameBest) / positions).toFixed(1)} %` +
    `   log-probabilities within ${logProbabilityGap.toExponential(1)}`
  );
}
