/**
 * Perplexity of a model on a text, as test/golden/smollm2/smollm2_perplexity.py defines it: the text is tokenized whole,
 * without special tokens; windows of 1,024 tokens do not overlap; every token but a window's first is scored.
 *
 * Usage: node bench/run.mjs bench/perplexity.ts MODEL FILE [WINDOWS] [--pack w8|w4|w2] [--pack-group 32|64|128]
 *                                               [--activations f32|int8]      (default: all whole windows of the file)
 * Prints one JSON object on stdout and a line for people on stderr. Keys and values are float32, on the cpu backend.
 */
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { type PackOptions, packingOf } from "../src/chat/packing.ts";
import { openModel } from "../src/model/load.ts";
import { addon } from "../src/native/binding.ts";

const windowTokens = 1024;
/** Characters read for a window: far more than 1,024 tokens of any natural text have. */
const windowCharacters = 8000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pack: { type: "string" },
    "pack-group": { type: "string", default: "128" },
    activations: { type: "string" },
  },
});
const [reference, file, asked] = positionals;
if (!reference || !file || (asked !== undefined && !(Number.parseInt(asked, 10) > 0))) {
  console.error(
    "usage: node bench/run.mjs bench/perplexity.ts MODEL FILE [WINDOWS] [--pack w8|w4|w2] [--pack-group 32|64|128] " +
      "[--activations f32|int8]",
  );
  process.exit(2);
}
const { pack, activations } = values as PackOptions;
const text = readFileSync(file, "utf8");
const opened = openModel(reference);
const { plan, tokenizer } = opened;
const packGroup = pack && (Number(values["pack-group"]) as 128);
const packing = packingOf({ pack, activations, packGroup }, opened);
const tokens = tokenizer.encode(asked ? text.slice(0, Number(asked) * windowCharacters) : text);
const windows = asked ? Number.parseInt(asked, 10) : Math.floor(tokens.length / windowTokens);
if (tokens.length < windows * windowTokens || windows === 0) {
  console.error(
    `${file} has ${tokens.length} tokens; ${windows || 1} windows need ${(windows || 1) * windowTokens}`,
  );
  process.exit(1);
}

const model = await addon().loadModel({
  ...plan,
  device: "cpu",
  threads: 0,
  kvType: "f32",
  isa: process.env.MINICPM_CPU ?? "",
  cacheBytes: 0,
  ...packing,
});
const sequence = model.createSequence({ capacity: windowTokens });
let total = 0;
let scored = 0;
const start = performance.now();
for (let window = 0; window < windows; ++window) {
  sequence.truncate(0);
  const logProbs = await sequence.score(tokens.subarray(window * windowTokens, (window + 1) * windowTokens));
  for (const logProb of logProbs.subarray(1)) total -= logProb;
  scored += windowTokens - 1;
}
const seconds = (performance.now() - start) / 1000;
sequence.dispose();
await model.dispose();

const nll = total / scored;
const perplexity = Math.exp(nll);
const firstIds = [...tokens.subarray(0, 12)];
const { isa, threads } = model;
console.log(
  JSON.stringify({ windows, tokens: scored, nll, perplexity, seconds, isa, threads, ...packing, firstIds }),
);
console.error(
  `perplexity ${perplexity.toFixed(4)} (nll ${nll.toFixed(6)}) on ${scored} tokens in ${windows} windows, ` +
    `${((windows * windowTokens) / seconds).toFixed(0)} tok/s with ${threads} threads on ${isa}`,
);
