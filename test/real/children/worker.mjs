// A worker thread with a model of its own: decodes and posts the tokens; told to hang, it decodes until terminated.
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { decodeOptions } from "./addon.mjs";

const { addonPath, plan, prompt, count, hang } = workerData;
const addon = createRequire(import.meta.url)(addonPath);
const model = await addon.loadModel(plan);
const sequence = model.createSequence({ capacity: 1024 });
await sequence.prefill(prompt);
const tokens = [];
const running = sequence.decode(decodeOptions(hang ? 1000 : count), (event) => {
  tokens.push(...event.tokens);
  if (hang) parentPort.postMessage("decoding");
});
await running;
if (!hang) {
  sequence.dispose();
  await model.dispose();
  parentPort.postMessage(tokens);
}
