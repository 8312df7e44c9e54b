// What a model really takes: loads it step by step, fills the context, decodes, and prints every number as JSON.
// Usage: node --expose-gc memory.mjs ROOT FOLDER CAPACITY
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { decodeOptions } from "./addon.mjs";

const [, , root, folder, capacity] = process.argv;
const fromDist = (path) => import(pathToFileURL(join(root, "dist", path)).href);
const { openModel } = await fromDist("model/load.js");
const { addon } = await fromDist("native/binding.js");
const { withTokenizer } = await fromDist("chat/model-memory.js");
const native = addon();
const rss = () => {
  global.gc();
  return process.memoryUsage.rss();
};

const before = rss();
const { plan, tokenizer } = openModel(folder);
const prompt = tokenizer.encode("The capital of France is", { bos: true });
const tokenizerTook = rss() - before;

const model = await native.loadModel({
  ...plan,
  device: "cpu",
  threads: 2,
  kvType: "f16",
  isa: "",
  cacheBytes: 0,
});
const planned = withTokenizer(
  model.memoryPlan({ capacity: Number(capacity), sequences: 1 }),
  plan.config.vocabSize,
);
const sequence = model.createSequence({ capacity: Number(capacity) });
await sequence.prefill(prompt);
const made = 8;
await sequence.fillForBench(Number(capacity) - prompt.length - made);
await sequence.prefill(prompt);
await sequence.decode(decodeOptions(made), () => {});

const { allocated, mapped } = native.nativeBytes();
const peak = process.resourceUsage().maxRSS * 1024;
const length = sequence.length;
sequence.dispose();
await model.dispose();
console.log(
  JSON.stringify({
    before,
    tokenizerTook,
    planned,
    allocated,
    mapped,
    peak,
    length,
    end: native.nativeBytes(),
  }),
);
