/**
 * Ours against llama.cpp on the same float32 weights and the same tokens: KL(theirs || ours) of the next-token
 * distributions at every position. Both run float32 activations, keys and values on the CPU.
 *
 * Usage: node bench/run.mjs bench/kl.ts MODEL [TEXT_FILE] [--tokens N] [--threads N] [--peer-kv f32|f16]
 *                                       [--peer-flash] [--json]
 * MODEL is written as an F32 GGUF file in the temporary folder, or taken as it is where it is one, and both engines read
 * that file. TEXT_FILE (README.md) is encoded by the model's own tokenizer, its first N tokens (512) are run.
 * `--peer-kv f16` and `--peer-flash` (f16 too, inside) show what llama.cpp's usual settings cost.
 * Wants `npm install --prefix bench/peers`. Exit code 1 where a position's KL is 1e-4 or more.
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

/** Nats; what the comparison has to stay below at every position. */
const limit = 1e-4;

const { model, tokens, threads, json, values } = klArguments(
  "kl.ts",
  { "peer-kv": { type: "string", default: "f32" }, "peer-flash": { type: "boolean", default: false } },
  "[--peer-kv f32|f16] [--peer-flash]",
  (own) => own["peer-kv"] === "f32" || own["peer-kv"] === "f16",
);

const folder = mkdtempSync(join(tmpdir(), "minicpm-kl-"));
try {
  const { path, architecture } = asFloat32Gguf(model, folder);
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
  if (result.max >= limit) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}

/** The model as an F32 GGUF file: its own where it is one, else a new one in `folder`. */
function asFloat32Gguf(model: OpenedModel, folder: string) {
  if (model.format === "gguf" && Object.values(model.plan.weights).every(({ dtype }) => dtype === "F32")) {
    return { path: model.path, architecture: model.config.architecture };
  }
  const path = join(folder, "model.gguf");
  writeFileSync(path, checkpointAsGguf(model, { matrices: "F32" }));
  return { path, architecture: ggufArchitecture(model.config) };
}

function line(subject: string, result: Divergence): string {
  const { positions, vocabulary, mean, max, maxAt, sameBest, logProbabilityGap } = result;
  return (
    `${subject}  positions ${positions}  vocabulary ${vocabulary}   mean KL ${mean.toExponential(1)}` +
    `   max ${max.toExponential(1)} at ${maxAt}   same best token ${((100 * sameBest) / positions).toFixed(1)} %` +
    `   log-probabilities within ${logProbabilityGap.toExponential(1)}`
  );
}
