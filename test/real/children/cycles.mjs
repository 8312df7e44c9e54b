// Creates and disposes again and again, and prints as JSON what that left behind.
// Usage: node --expose-gc cycles.mjs ADDON PLAN sequence|model WARM_UP CYCLES
import { childArguments, decodeOptions } from "./addon.mjs";

const { addon, plan, words } = childArguments();
const [what, warmUp, cycles] = [words[0], Number(words[1]), Number(words[2])];
const prompt = Int32Array.of(1, 5, 7, 9);

async function use(model) {
  const sequence = model.createSequence({ capacity: 128 });
  await sequence.prefill(prompt);
  await sequence.decode(decodeOptions(2), () => {});
  sequence.logits();
  sequence.dispose();
}

async function collect() {
  // Twice, with turns of the event loop between: finalizers run on it.
  for (let i = 0; i < 2; ++i) {
    global.gc();
    await new Promise(setImmediate);
  }
}

async function run(count, cycle) {
  for (let i = 0; i < count; ++i) await cycle();
  await collect();
  return { rss: process.memoryUsage.rss(), native: addon.nativeBytes() };
}

let model = what === "sequence" ? await addon.loadModel(plan) : undefined;
const cycle = model
  ? () => use(model)
  : async () => {
      const loaded = await addon.loadModel(plan);
      await use(loaded);
      await loaded.dispose();
    };
const before = await run(warmUp, cycle);
const after = await run(cycles, cycle);
await model?.dispose();
model = undefined;
await collect();
console.log(JSON.stringify({ before, after, end: addon.nativeBytes() }));
