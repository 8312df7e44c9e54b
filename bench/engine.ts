/**
 * What the engine promises of speed, in ratios on this machine: a gate that is missed makes the exit code 1. Each is
 * measured on random weights in the shape of MiniCPM4-0.5B, bfloat16, as `minicpm bench --shape` makes them.
 *
 * Usage: node bench/run.mjs bench/engine.ts [batch] [slice] [busy] [resume]      (default: the first three)
 * - batch: 8 sequences together make at least 3 times the tokens a second of one.
 * - slice: a stream beside a prompt of 4,096 tokens never pauses for more than 1.6 times the bound of a slice.
 * - busy: with one core kept busy by another process, one stream keeps 40 % of its idle speed.
 * - resume: a saved sequence of 32,768 tokens is there again in less than a hundredth of the time it took to read them,
 *   with the same bits (reading them takes some ten minutes).
 * Prints one JSON object a gate on stdout and a line for people on stderr.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { type BenchModel, loadBenchModel } from "../src/bench/bench-model.ts";
import { seededPrompt } from "../src/bench/seeded-checkpoint.ts";
import { findShape, writeShape } from "../src/bench/shape.ts";
import { median } from "../src/bench/statistics.ts";
import { greedy } from "../src/engine/sampling.ts";
import type { NativeSequence } from "../src/native/binding.ts";

/** Seconds that a slice and the decode step behind it should take (kSliceSeconds of native/engine/prefill.cpp, and room). */
const sliceSeconds = 0.25;
const rounds = 3;

interface Gate {
  readonly name: string;
  readonly value: number;
  readonly bound: number;
  /** Whether `value` has to be at least or at most `bound`. */
  readonly least: boolean;
  readonly details: Readonly<Record<string, number | readonly number[]>>;
}

function tokensOf({ checkpoint }: BenchModel, seed: number, count: number): Int32Array {
  return seededPrompt({ vocab_size: checkpoint.config.vocabSize }, seed, count);
}

/** Sequences that hold a short prompt and can make `count` tokens. */
async function streams(model: BenchModel, sequences: number, count: number): Promise<NativeSequence[]> {
  const made: NativeSequence[] = [];
  for (let row = 0; row < sequences; ++row) {
    const sequence = model.native.createSequence({ capacity: 16 + count });
    await sequence.prefill(tokensOf(model, row, 16));
    made.push(sequence);
  }
  return made;
}

/** Tokens a second of `sequences` streams together. */
async function decodeSpeed(model: BenchModel, sequences: number, count: number): Promise<number> {
  const all = await streams(model, sequences, count);
  const start = performance.now();
  const work = { count, stopTokens: new Int32Array(), sampling: greedy };
  await Promise.all(all.map((sequence) => sequence.decode(work, () => {})));
  const seconds = (performance.now() - start) / 1000;
  for (const sequence of all) sequence.dispose();
  return (sequences * count) / seconds;
}

/** Two ways measured in turns: the second's median must be at least `bound` times the first's. */
async function ratioGate(
  name: string,
  bound: number,
  ways: readonly [first: [string, () => Promise<number>], second: [string, () => Promise<number>]],
): Promise<Gate> {
  const speeds = ways.map(() => [] as number[]);
  for (let round = 0; round < rounds; ++round) {
    for (const [index, [, speed]] of ways.entries()) speeds[index]?.push(await speed());
  }
  const [first = [], second = []] = speeds;
  const details = { [ways[0][0]]: first, [ways[1][0]]: second };
  return { name, value: median(second) / median(first), bound, least: true, details };
}

function batchGate(model: BenchModel): Promise<Gate> {
  return ratioGate("batch", 3, [
    ["one", () => decodeSpeed(model, 1, 32)],
    ["eight", () => decodeSpeed(model, 8, 32)],
  ]);
}

async function sliceGate(model: BenchModel): Promise<Gate> {
  const [stream] = (await streams(model, 1, 4096)) as [NativeSequence];
  const reader = model.native.createSequence({ capacity: 4096 });
  let last = performance.now();
  let reading = false;
  const pauses: number[] = [];
  const decoded = stream.decode({ count: 4096, stopTokens: new Int32Array(), sampling: greedy }, () => {
    const now = performance.now();
    if (reading) pauses.push((now - last) / 1000);
    last = now;
  });
  await setTimeout(500);
  reading = true;
  const start = performance.now();
  await reader.prefill(tokensOf(model, 99, 4096));
  const prefillSeconds = (performance.now() - start) / 1000;
  reading = false;
  stream.cancel();
  await decoded;
  for (const sequence of [stream, reader]) sequence.dispose();
  const longest = Math.max(...pauses);
  const details = { longest, median: median(pauses), tokens: pauses.length, prefillSeconds };
  return { name: "slice", value: longest / sliceSeconds, bound: 1.6, least: false, details };
}

function busyGate(model: BenchModel): Promise<Gate> {
  return ratioGate("busy", 0.4, [
    ["idle", () => decodeSpeed(model, 1, 32)],
    ["busy", () => besideBusyProcess(() => decodeSpeed(model, 1, 32))],
  ]);
}

async function besideBusyProcess(measure: () => Promise<number>): Promise<number> {
  const other = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
  try {
    await setTimeout(300);
    return await measure();
  } finally {
    other.kill("SIGKILL");
  }
}

async function resumeGate(model: BenchModel): Promise<Gate> {
  const length = 32_768;
  const folder = mkdtempSync(join(tmpdir(), "minicpm-resume-"));
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await work();
    return (performance.now() - start) / 1000;
  };
  try {
    const tokens = tokensOf(model, 7, length);
    const first = model.native.createSequence({ capacity: length });
    const readSeconds = await timed(() => first.prefill(tokens, progressOf(length)));
    const logits = first.logits();
    const saveSeconds = await timed(() => first.save(folder));
    first.dispose();
    const again = model.native.createSequence({ capacity: length });
    const resumeSeconds = await timed(() => again.prefill(tokens, () => {}, folder));
    const same = Buffer.compare(Buffer.from(logits.buffer), Buffer.from(again.logits().buffer)) === 0;
    again.dispose();
    if (!same) throw new Error("the resumed sequence has other logits");
    const files = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    const bytes = files.reduce((sum, size) => sum + size, 0);
    const details = { readSeconds, saveSeconds, resumeSeconds, bytes, bytesPerSecond: bytes / resumeSeconds };
    return { name: "resume", value: resumeSeconds / readSeconds, bound: 0.01, least: false, details };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function progressOf(length: number): (done: number) => void {
  return (done) => process.stderr.write(`\rreading ${Math.floor((100 * done) / length)} %`);
}

const gates = { batch: batchGate, slice: sliceGate, busy: busyGate, resume: resumeGate };
type GateName = keyof typeof gates;

const names = process.argv.length > 2 ? process.argv.slice(2) : ["batch", "slice", "busy"];
if (!names.every((name): name is GateName => name in gates)) {
  console.error("usage: node bench/run.mjs bench/engine.ts [batch] [slice] [busy] [resume]");
  process.exit(2);
}
const shape = findShape("minicpm4-0.5b");
const folder = await writeShape(shape, { keep: true });
const model = await loadBenchModel(folder.path, { device: "cpu", kvType: "f16" }, shape.name);
await decodeSpeed(model, 1, 16); // warms up
for (const name of names) {
  const gate = await gates[name](model);
  const kept = gate.least ? gate.value >= gate.bound : gate.value <= gate.bound;
  const { isa, threads } = model.native;
  console.log(JSON.stringify({ ...gate, kept, isa, threads, processor: model.processor }));
  console.error(
    `\r${kept ? "kept" : "MISSED"}  ${name}: ${gate.value.toFixed(4)}, ${gate.least ? "at least" : "at most"} ${gate.bound}`,
  );
  if (!kept) process.exitCode = 1;
}
await model.native.dispose();
