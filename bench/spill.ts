/**
 * Keys and values beyond memory: the same context in memory, and with a part of its blocks on disk. Bits must be equal.
 *
 * Usage: node bench/run.mjs bench/spill.ts [SHAPE] [--depth N] [--share X] [--tokens N] [--kv-type f16|int8]
 * SHAPE is minicpm4-0.5b, with seeded 4-bit weights and sparse attention; N made-up tokens (131,072) are held, the share X of
 * their keys and values (0.5) in memory. Then it reads a prompt of 256 tokens and makes --tokens (64) more. Prints speed,
 * misses and waiting as a JSON line; ends with exit code 1 where a logit differs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BenchLoadOptions, loadBenchModel } from "../src/bench/bench-model.ts";
import { seededPrompt } from "../src/bench/seeded-checkpoint.ts";
import { findShape, writeShape } from "../src/bench/shape.ts";
import { greedy } from "../src/engine/sampling.ts";
import type { KvType } from "../src/native/binding.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    depth: { type: "string", default: "131072" },
    share: { type: "string", default: "0.5" },
    tokens: { type: "string", default: "64" },
    "kv-type": { type: "string", default: "f16" },
  },
});
const [depth, share, count] = [Number(values.depth), Number(values.share), Number(values.tokens)];
const kvType = values["kv-type"] as KvType;
if (!(depth >= 1 && share > 0 && count >= 1) || (kvType !== "f16" && kvType !== "int8")) {
  console.error(
    "usage: node bench/run.mjs bench/spill.ts [SHAPE] [--depth N] [--share X] [--tokens N] [--kv-type f16|int8]",
  );
  process.exit(2);
}
const prompt = 256;
const shape = await writeShape(findShape(positionals[0] ?? "minicpm4-0.5b"), { keep: true });

interface Outcome {
  readonly logits: readonly Float32Array[];
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  readonly kvBytes: number;
  readonly spill: object;
}

/** The held tokens, a prompt behind them, and the logits of every token made. */
async function outcome(spill: Pick<BenchLoadOptions, "kvSpill" | "kvMemoryBytes">): Promise<Outcome> {
  const options = { device: "cpu", kvType, sparse: "on", pack: "w4", ...spill } as const;
  const { native, checkpoint } = await loadBenchModel(shape.path, options);
  const capacity = depth + prompt + count;
  const sequence = native.createSequence({ capacity });
  await sequence.fillForBench(depth);
  const before = native.spillStatus();
  const logits = [];
  const started = performance.now();
  await sequence.prefill(seededPrompt({ vocab_size: checkpoint.config.vocabSize }, 7, prompt));
  const read = performance.now();
  for (let token = 0; token < count; token++) {
    await sequence.sample(greedy);
    await sequence.step();
    logits.push(sequence.logits());
  }
  const made = performance.now();
  const after = native.spillStatus();
  const kvBytes = native.memoryPlan({ capacity, sequences: 1 }).kv;
  sequence.dispose();
  await native.dispose();
  const told = before &&
    after && {
      misses: after.misses - before.misses,
      hits: after.hits - before.hits,
      readBytes: after.bytesRead - before.bytesRead,
      waitedSeconds: after.readSeconds - before.readSeconds,
      fileBytes: after.fileBytes,
    };
  const [prefillSeconds, decodeSeconds] = [(read - started) / 1000, (made - read) / 1000];
  return { logits, prefillSeconds, decodeSeconds, kvBytes, spill: told ?? {} };
}

const folder = mkdtempSync(join(tmpdir(), "minicpm-spill-"));
try {
  const whole = await outcome({});
  const apart = await outcome({ kvSpill: folder, kvMemoryBytes: Math.floor(whole.kvBytes * share) });
  const isEqual = whole.logits.every((logits, index) =>
    Buffer.from(logits.buffer).equals(Buffer.from(apart.logits[index]?.buffer ?? new ArrayBuffer(0))),
  );
  const speed = ({ prefillSeconds, decodeSeconds }: Outcome) => ({
    prefill: prompt / prefillSeconds,
    decode: count / decodeSeconds,
  });
  const report = {
    depth,
    share,
    kvType,
    isEqual,
    whole: speed(whole),
    spilled: speed(apart),
    ...apart.spill,
  };
  console.log(JSON.stringify(report));
  process.exitCode = isEqual ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
