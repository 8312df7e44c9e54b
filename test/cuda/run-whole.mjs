// Loads models/tiny on a plug-in's first device, twice, and prints as JSON how far each run came: { tokens } or { error }.
// Usage: node run-whole.mjs ADDON PLUGIN PLAN     (PLAN: a file with a ModelPlan as JSON)
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [file, plugin, planFile] = process.argv.slice(2);
const addon = createRequire(import.meta.url)(file);
const plan = { ...JSON.parse(readFileSync(planFile, "utf8")), device: "cuda:0", plugin };
const sampling = {
  temperature: 0.9,
  topK: 40,
  topP: 0.95,
  minP: 0.01,
  repetitionPenalty: 1.1,
  presencePenalty: 0.2,
  frequencyPenalty: 0.1,
  seed: 7n,
  biasTokens: Int32Array.of(5),
  biases: Float32Array.of(1),
  logprobs: 2,
};
const prompt = Int32Array.from({ length: 70 }, (_, i) => (37 * i) % 300);

/** Everything that moves memory: prefill, decode, fork, truncate, logits, score. */
async function whole() {
  let model;
  try {
    model = await addon.loadModel(plan);
    const sequence = model.createSequence({ capacity: 128 });
    await sequence.prefill(prompt);
    const tokens = [];
    const onTokens = (event) => tokens.push(...event.tokens);
    await sequence.decode({ count: 6, stopTokens: new Int32Array(), sampling }, onTokens);
    const fork = sequence.fork();
    fork.truncate(20);
    await fork.score(prompt.subarray(0, 5));
    fork.logits();
    return { tokens };
  } catch (error) {
    return { error: `${error.nativeCode}: ${error.message}` };
  } finally {
    await model?.dispose();
  }
}

console.log(JSON.stringify([await whole(), await whole()]));
