/**
 * Decode behind short and long contexts in turns, a few tokens each: a ratio that a machine's better and worse minutes
 * leave alone, as runs one after the other do not.
 *
 * Usage: node bench/run.mjs bench/depths.ts [SHAPE] [--depths 8192,131072] [--kv-type f16|int8] [--rounds 40] [--tokens 8]
 * SHAPE is minicpm4-0.5b, with seeded 4-bit weights and sparse attention, behind made-up tokens. Prints for every depth the
 * median tok/s and the median, over rounds, of its speed by the first one's, as a JSON line.
 */
import { parseArgs } from "node:util";
import { loadBenchModel } from "../src/bench/bench-model.ts";
import { runOf } from "../src/bench/run.ts";
import { findShape, writeShape } from "../src/bench/shape.ts";
import { median } from "../src/bench/statistics.ts";
import type { KvType } from "../src/native/binding.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    depths: { type: "string", default: "8192,131072" },
    "kv-type": { type: "string", default: "f16" },
    rounds: { type: "string", default: "40" },
    tokens: { type: "string", default: "8" },
  },
});
const depths = values.depths.split(",").map(Number);
const [rounds, generate] = [Number(values.rounds), Number(values.tokens)];
const kvType = values["kv-type"] as KvType;
if (![...depths, rounds, generate].every((one) => one >= 1) || (kvType !== "f16" && kvType !== "int8")) {
  console.error(
    "usage: node bench/run.mjs bench/depths.ts [SHAPE] [--depths N,...] [--kv-type f16|int8] [--rounds N] [--tokens N]",
  );
  process.exit(2);
}

const shape = await writeShape(findShape(positionals[0] ?? "minicpm4-0.5b"), { keep: true });
const model = await loadBenchModel(shape.path, { device: "cpu", kvType, sparse: "on", pack: "w4" });
const runs = depths.map((depth) => runOf(model, { kind: "generate", generate, depth, sequences: 1 }));
const speeds: number[][] = depths.map(() => []);
for (let round = -1; round < rounds; round++) {
  for (const [i, run] of runs.entries()) {
    await run.prepare(round + 1);
    const started = performance.now();
    await run.run();
    if (round >= 0) speeds[i]?.push((1000 * generate) / (performance.now() - started));
  }
}
for (const [i, depth] of depths.entries()) {
  const its = speeds[i] as number[];
  const share = median(its.map((speed, round) => speed / (speeds[0]?.[round] as number)));
  console.log(JSON.stringify({ depth, kvType, tokensPerSecond: median(its), share }));
}
for (const run of runs) run.dispose();
await model.native.dispose();
