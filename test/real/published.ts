/**
 * Checks a real MiniCPM4-0.5B against what is published of it: ten logits, and two greedy answers.
 *
 * Usage: node bench/run.mjs test/real/published.ts FOLDER [cpu|reference]
 * Needs the bf16 checkpoint: config.json, model.safetensors and tokenizer.json in FOLDER (about 0.87 GB; get them from the
 * model's page by any means), and as much free memory. Exit code 0: the logits and both answers agree.
 *
 * The logits are of transformers' own MiniCPM4 test, in bf16, for the last token of "The capital of France is". The
 * answers come from int4 and Q4_K_M forms, so bf16 may turn at a close token; what is shown then tells how close.
 */
import { openModel } from "../../src/model/load.ts";
import { decode, withModel, withSequence } from "./native-model.ts";

const prompt = "The capital of France is";
const logits = [-5.375, 1.6328125, 5.78125, -6.5625, -6.0, 9.875, 1.4296875, -5.6875, -6.0625, -5.5625];
/** bf16 has 8 bits: half a step at 8 is 0.03, and bf16 activations over 24 layers add to it. */
const tolerance = 0.25;
const continued = " Paris. Which of the following statements about Paris is true?";

const answers = [
  {
    prompt: [73441, 3060, 5, 5856, 1410, 6404, 59408, 2097, 59383, 74, 73440, 59320, 5, 73441, 16434, 5],
    answer: [9254, 59408, 2097, 59383],
  },
  {
    prompt: [1, 73441, 3060, 5, 2219, 8107, 1379, 8360, 1410, 73440, 59320, 5, 73441, 16434, 5],
    answer: [2219, 8107, 1379, 8360, 1410, 11225, 72, 73440],
  },
];

const [, , folder, device = "cpu"] = process.argv;
if (!folder || (device !== "cpu" && device !== "reference")) {
  console.error("usage: node bench/run.mjs test/real/published.ts FOLDER [cpu|reference]");
  process.exit(2);
}

const { tokenizer } = openModel(folder);
let failures = 0;
const report = (good: boolean, what: string) => {
  if (!good) ++failures;
  console.log(`${good ? "ok    " : "FAILED"}  ${what}`);
};

await withModel(folder, { device, threads: 0, kvType: "f32" }, (model) =>
  withSequence(model, 256, async (sequence) => {
    await sequence.prefill(tokenizer.encode(prompt, { bos: true }));
    const found = sequence.logits().subarray(0, logits.length);
    const error = Math.max(...logits.map((logit, i) => Math.abs(logit - (found[i] as number))));
    report(
      error < tolerance,
      `ten published logits, largest difference ${error.toFixed(4)} (allowed ${tolerance})`,
    );
    console.log(
      `        published ${logits.join(" ")}\n        found     ${[...found].map((x) => x.toFixed(4)).join(" ")}`,
    );

    const text = tokenizer.decode(await decode(sequence, 32), { continued: true });
    report(text.startsWith(continued), `"${prompt}" goes on as${JSON.stringify(text)}`);

    for (const { prompt: ids, answer } of answers) {
      sequence.truncate(0);
      await sequence.prefill(Int32Array.from(ids));
      const made = await decode(sequence, answer.length);
      const agree = answer.findIndex((token, i) => made[i] !== token);
      const where = agree < 0 ? "" : `, but not from token ${agree} on: ${made.join(" ")}`;
      report(agree < 0, `${JSON.stringify(tokenizer.decode(answer))} as published${where}`);
    }
  }),
);
process.exitCode = failures === 0 ? 0 : 1;
