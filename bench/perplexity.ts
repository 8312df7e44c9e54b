/**
 * Perplexity of a model on a text, as test/golden/smollm2/smollm2_perplexity.py defines it: the text is tokenized whole,
 * without special tokens; windows of 1,024 tokens do not overlap; every token but a window's first is scored.
 *
 * Usage: node bench/run.mjs bench/perplexity.ts MODEL FILE [WINDOWS] [--pack w8|w4|w2] [--pack-group 32|64|128]
 *                                               [--activations f32|int8] [--vs llama.cpp] [--points FILE] [--threads N]
 *                                                                  (default: all whole windows of the file)
 * Prints one JSON object on stdout and a line for people on stderr. Keys and values are float32, on the cpu backend.
 * `--vs llama.cpp` runs a GGUF file there, too (its binding sums what it divides by in float32, which leaves out the least
 * likely tokens: perplexity 0.01 % lower than it is). `--points` keeps each window's figure as it is made, for any number
 * of models; what is there is not run again.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { type PackOptions, packingOf } from "../src/chat/packing.ts";
import { openModel } from "../src/model/load.ts";
import { addon } from "../src/native/binding.ts";
import { llamaCppScores } from "./peers/llama-cpp.ts";

const windowTokens = 1024;
/** Characters read for a window: far more than 1,024 tokens of any natural text have. */
const windowCharacters = 8000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pack: { type: "string" },
    "pack-group": { type: "string", default: "128" },
    activations: { type: "string" },
    vs: { type: "string" },
    points: { type: "string" },
    threads: { type: "string", default: "0" },
  },
});
const [reference, file, asked] = positionals;
const known = values.vs === undefined || values.vs === "llama.cpp";
if (!reference || !file || (asked !== undefined && !(Number.parseInt(asked, 10) > 0)) || !known) {
  console.error(
    "usage: node bench/run.mjs bench/perplexity.ts MODEL FILE [WINDOWS] [--pack w8|w4|w2] [--pack-group 32|64|128] " +
      "[--activations f32|int8] [--vs llama.cpp] [--points FILE] [--threads N]",
  );
  process.exit(2);
}
const { pack, activations } = values as PackOptions;
const text = readFileSync(file, "utf8");
const opened = openModel(reference);
if (values.vs && opened.format !== "gguf") {
  console.error("--vs llama.cpp takes a GGUF file; `minicpm convert` writes one.");
  process.exit(2);
}
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

/** What one window came to, in nats a token. */
interface Point {
  readonly run: string;
  readonly window: number;
  readonly nll: number;
}

const points: Point[] = [];
if (values.points && existsSync(values.points)) {
  for (const line of readFileSync(values.points, "utf8").split("\n")) if (line) points.push(JSON.parse(line));
}
const ownRun = `${opened.path} ${pack ? `${pack}-${packGroup} ` : ""}${packing.activations} on ${file}`;
const peerRun = `${opened.path} in llama.cpp on ${file}`;

const model = await addon().loadModel({
  ...plan,
  device: "cpu",
  threads: Number(values.threads),
  kvType: "f32",
  isa: process.env.MINICPM_CPU ?? "",
  cacheBytes: 0,
  ...packing,
});
const { isa, threads } = model;
const sequence = model.createSequence({ capacity: windowTokens });
const start = performance.now();
const missing = missingOf(ownRun);
for (const window of missing) {
  sequence.truncate(0);
  const logProbs = await sequence.score(tokensOf(window));
  add({
    run: ownRun,
    window,
    nll: -logProbs.subarray(1).reduce((sum, each) => sum + each, 0) / (windowTokens - 1),
  });
}
const seconds = (performance.now() - start) / 1000;
sequence.dispose();
await model.dispose();
if (values.vs) {
  const left = missingOf(peerRun);
  const options = { threads, kvType: "f32", flashAttention: false } as const;
  await llamaCppScores(opened.path, left.map(tokensOf), options, (nll) =>
    add({ run: peerRun, window: left.shift() as number, nll }),
  );
}

const nll = meanOf(ownRun);
const perplexity = Math.exp(nll);
const theirs = values.vs && {
  perplexity: Math.exp(meanOf(peerRun)),
  above: Math.expm1(nll - meanOf(peerRun)),
};
const scored = windows * (windowTokens - 1);
const firstIds = [...tokens.subarray(0, 12)];
console.log(
  JSON.stringify({
    windows,
    tokens: scored,
    nll,
    perplexity,
    theirs,
    seconds,
    isa,
    threads,
    ...packing,
    firstIds,
  }),
);
console.error(
  `perplexity ${perplexity.toFixed(4)} (nll ${nll.toFixed(6)}) on ${scored} tokens in ${windows} windows, ` +
    `${((missing.length * windowTokens) / seconds).toFixed(0)} tok/s with ${threads} threads on ${isa}`,
);
if (theirs) {
  console.error(
    `llama.cpp's ${theirs.perplexity.toFixed(4)}: ours is ${(100 * theirs.above).toFixed(3)} % above it`,
  );
}

function tokensOf(window: number): Int32Array {
  return tokens.subarray(window * windowTokens, (window + 1) * windowTokens);
}

function missingOf(run: string): number[] {
  const there = new Set(points.filter((each) => each.run === run).map(({ window }) => window));
  return Array.from({ length: windows }, (_, window) => window).filter((window) => !there.has(window));
}

function add(point: Point): void {
  points.push(point);
  if (values.points) appendFileSync(values.points, `${JSON.stringify(point)}\n`);
}

function meanOf(run: string): number {
  const own = points.filter((each) => each.run === run && each.window < windows);
  return own.reduce((sum, { nll }) => sum + nll, 0) / windows;
}
