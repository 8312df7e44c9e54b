// What the child programs share: the addon by its path, and a plan made by the test that started them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** argv: addon, plan.json, then the program's own words. */
export function childArguments() {
  const [, , addonPath, planPath, ...words] = process.argv;
  return {
    addon: createRequire(import.meta.url)(addonPath),
    plan: JSON.parse(readFileSync(planPath, "utf8")),
    words,
  };
}

export const greedy = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 0n,
  biasTokens: new Int32Array(),
  biases: new Float32Array(),
  logprobs: -1,
};

export function decodeOptions(count) {
  return { count, stopTokens: new Int32Array(), sampling: greedy };
}
