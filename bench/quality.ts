/**
 * What each format costs and gives: perplexity, KL(the model's own weights || the format's) and decode speed of one model
 * in our packed formats, by every method, and in llama.cpp's F16, Q8_0 and Q4_0 where it is installed.
 *
 * Usage: node bench/run.mjs bench/quality.ts MODEL TEXT_FILE [--formats w8-128,w4-128,...] [--methods rtn,p-gptq]
 *                                            [--calibration FILE] [--tokens N] [--threads N] [--out PATH]
 *                                            [--keep FOLDER] [--no-speed]
 * MODEL is a folder of plain weights. The first N tokens (1,024) of TEXT_FILE are run, 512 to a window. Activations are
 * int8 beside packed weights, as they run; the KL of weights alone, with f32 ones, stands in the last column. Prints a
 * table; `--out` writes PATH.md, PATH.json and PATH.svg, where up and to the left is better, after each line; what
 * PATH.json has is not measured again. Models are made in the temporary folder, or once and for all in that of `--keep`:
 * with both, a first run with `--no-speed` takes the long part, and a second measures speed while nothing else runs. Wants
 * a build (`npm run build`), and for llama.cpp `npm install --prefix bench/peers`.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { EngineSpec } from "../src/bench/engine.ts";
import { EngineProcess } from "../src/bench/engine-process.ts";
import { scatterChart } from "../src/bench/scatter-chart.ts";
import { findScheduling } from "../src/bench/scheduling.ts";
import { median } from "../src/bench/statistics.ts";
import { ggufTypes, toGguf } from "../src/convert/to-gguf.ts";
import { openModel } from "../src/model/load.ts";
import { packFormats, packGroups, packMethods } from "../src/model/packed-model.ts";
import { weightElements } from "../src/model/weight-size.ts";
import { quantize } from "../src/quantize/quantize.ts";
import { divergence, logProbabilities } from "./kl-divergence.ts";
import { ownLogits } from "./own-logits.ts";
import { llamaCppAvailable, llamaCppLogits, llamaCppPath } from "./peers/llama-cpp.ts";

const windowTokens = 512;
const engineProgram = fileURLToPath(new URL("../dist/cli/engine-program.js", import.meta.url));
const usage =
  "usage: node bench/run.mjs bench/quality.ts MODEL TEXT_FILE [--formats w8-128,w4-128] [--methods rtn,p-gptq] " +
  "[--calibration FILE] [--tokens N] [--threads N] [--out PATH] [--keep FOLDER] [--no-speed]";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    formats: { type: "string", default: "w8-128,w4-128,w4-64,w4-32" },
    methods: { type: "string", default: "rtn,p-gptq" },
    calibration: { type: "string" },
    tokens: { type: "string", default: "1024" },
    threads: { type: "string", default: "2" },
    out: { type: "string" },
    keep: { type: "string" },
    "no-speed": { type: "boolean", default: false },
  },
});
const [reference, file] = positionals;
const count = Number(values.tokens);
const threads = Number(values.threads);
const formats = values.formats.split(",").map((each) => {
  const [format, group] = each.split("-");
  return {
    format: packFormats.find((one) => one === format),
    group: packGroups.find((one) => String(one) === group),
  };
});
const methods = values.methods.split(",").map((each) => packMethods.find((one) => one === each));
if (!reference || !file || positionals.length > 2 || ![count, threads].every((each) => each > 0)) fail();

/** What a format makes of the answers. */
interface Quality {
  readonly bitsPerWeight: number;
  readonly perplexity: number;
  readonly kl: number;
  readonly sameBest: number;
  /** With activations in float32. */
  readonly weightsKl?: number | undefined;
}

/** One line of the table. */
interface Row extends Quality {
  readonly engine: string;
  readonly format: string;
  readonly tokensPerSecond?: number | undefined;
}

const model = openModel(reference as string);
const parameters = Object.values(model.plan.weights).reduce((sum, each) => sum + weightElements(each), 0);
const text = model.tokenizer.encode(readFileSync(file as string, "utf8")).subarray(0, count);
const windows = Array.from({ length: Math.ceil(text.length / windowTokens) }, (_, i) =>
  text.subarray(i * windowTokens, (i + 1) * windowTokens),
);
const rows = new Map(before().map((row) => [`${row.engine} ${row.format}`, row]));
const folder = values.keep ?? mkdtempSync(join(tmpdir(), "minicpm-quality-"));
mkdirSync(folder, { recursive: true });
let ground: Float32Array[] | undefined;
try {
  await addOwn(reference as string, "own weights");
  for (const { format, group } of formats) {
    for (const method of methods) {
      if (!format || !group || !method) fail();
      const path = join(folder, `${format}-${group}-${method}`);
      const calibration = values.calibration && readFileSync(values.calibration, "utf8");
      if (!existsSync(path)) {
        await quantize(reference as string, path, { format, group, method, calibration, threads });
      }
      await addOwn(path, `${format} g${group} ${method}`);
    }
  }
  for (const type of llamaCppAvailable() ? ggufTypes : []) {
    const path = join(folder, `${type}.gguf`);
    if (!existsSync(path)) await toGguf(reference as string, path, { type });
    const spec = {
      kind: "llama.cpp",
      entry: llamaCppPath,
      model: path,
      threads,
      kvType: "f16",
      capacity: 256,
    } as const;
    await add("llama.cpp", type, spec, async () => {
      const run = { threads, kvType: "f32", flashAttention: false } as const;
      return qualityOf(statSync(path).size, await inWindows((tokens) => llamaCppLogits(path, tokens, run)));
    });
  }
} finally {
  if (!values.keep) rmSync(folder, { recursive: true, force: true });
}

/** @param path whose weights are float, or packed */
async function addOwn(path: string, format: string): Promise<void> {
  const spec = { kind: "minicpm", model: path, load: { device: "cpu", threads, kvType: "f16" } } as const;
  await add("ours", format, spec, async () => {
    const { packed, plan } = openModel(path);
    const bytes = plan.files.reduce((sum, each) => sum + each.bytes, 0);
    if (!packed) return qualityOf(bytes, await groundLogits());
    const weights = await inWindows((tokens) => ours(path, tokens, "f32"));
    const quality = await qualityOf(bytes, await inWindows((tokens) => ours(path, tokens, "int8")));
    return { ...quality, weightsKl: divergence(await groundLogits(), weights).mean };
  });
}

async function add(
  engine: string,
  format: string,
  spec: EngineSpec,
  quality: () => Promise<Quality>,
): Promise<void> {
  const key = `${engine} ${format}`;
  const known = rows.get(key);
  const tokensPerSecond =
    known?.tokensPerSecond ?? (values["no-speed"] ? undefined : await decodeSpeed(spec));
  const row = { engine, format, ...(known ?? (await quality())), tokensPerSecond };
  rows.set(key, row);
  console.log(cells(row).join("  "));
  if (values.out) write(values.out);
}

/** What an earlier run has measured on the same text. */
function before(): readonly Row[] {
  const path = `${values.out}.json`;
  if (!values.out || !existsSync(path)) return [];
  const { model: name, tokens, rows: found } = JSON.parse(readFileSync(path, "utf8"));
  return name === model.name && tokens === text.length ? found : [];
}

/** Of the model's own weights. */
async function groundLogits(): Promise<Float32Array[]> {
  ground ??= await inWindows((tokens) => ours(reference as string, tokens, "f32"));
  return ground;
}

async function inWindows(logitsOf: (tokens: Int32Array) => Promise<Float32Array[]>): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (const tokens of windows) all.push(...(await logitsOf(tokens)));
  return all;
}

async function ours(path: string, tokens: Int32Array, activations: "f32" | "int8"): Promise<Float32Array[]> {
  return (await ownLogits(path, tokens, { threads, activations })).logits;
}

/** Tokens a second behind 128 held ones, in a process of its own; the better way to run where an engine has two. */
async function decodeSpeed(spec: EngineSpec): Promise<number> {
  const engine = await EngineProcess.start(spec, { scheduling: findScheduling(), script: engineProgram });
  const speeds: number[] = [];
  for (const variant of engine.about.variants.keys()) {
    const runs: number[] = [];
    for (let round = 0; round < 3; ++round) {
      const workload = { kind: "generate", generate: 64, depth: 128, sequences: 1 } as const;
      runs.push((await engine.measure(workload, variant, round)).tokensPerSecond);
    }
    speeds.push(median(runs));
  }
  await engine.close();
  return Math.max(...speeds);
}

async function qualityOf(bytes: number, logits: readonly Float32Array[]): Promise<Quality> {
  const { mean, sameBest, positions } = divergence(await groundLogits(), logits);
  return {
    bitsPerWeight: (8 * bytes) / parameters,
    perplexity: Math.exp(meanNll(logits)),
    kl: mean,
    sameBest: sameBest / positions,
  };
}

/** Over the tokens of each window but its first. */
function meanNll(logits: readonly Float32Array[]): number {
  let sum = 0;
  let scored = 0;
  for (const [position, each] of logits.entries()) {
    if ((position + 1) % windowTokens === 0 || position + 1 === text.length) continue;
    sum -= logProbabilities(each)[text[position + 1] as number] as number;
    scored++;
  }
  return sum / scored;
}

function cells(row: Row): string[] {
  return [
    row.engine,
    row.format,
    row.bitsPerWeight.toFixed(2),
    row.perplexity.toFixed(3),
    row.kl.toExponential(2),
    `${(100 * row.sameBest).toFixed(1)} %`,
    row.tokensPerSecond?.toFixed(1) ?? "",
    row.weightsKl?.toExponential(2) ?? "",
  ];
}

function write(path: string): void {
  const all = [...rows.values()].sort((a, b) => b.engine.localeCompare(a.engine)); // ours first
  const title = `${model.name} in every format`;
  const notes = [`${text.length} tokens of text; decode behind 128 tokens, ${threads} threads`];
  const head = [
    "engine",
    "format",
    "bits a weight",
    "perplexity",
    "KL",
    "same best",
    "tok/s",
    "KL of weights",
  ];
  const table = [head, head.map(() => "---"), ...all.map(cells)].map((line) => `| ${line.join(" | ")} |`);
  writeFileSync(`${path}.md`, [`# ${title}`, "", notes.join(""), "", ...table, ""].join("\n"));
  writeFileSync(
    `${path}.json`,
    `${JSON.stringify({ model: model.name, tokens: text.length, threads, rows: all }, undefined, 2)}\n`,
  );
  const points = all
    .filter(({ kl, tokensPerSecond }) => kl > 0 && tokensPerSecond)
    .map(({ engine, format, kl, tokensPerSecond = 0 }) => ({
      group: engine,
      name: format,
      x: kl,
      y: tokensPerSecond,
    }));
  const axes = { x: "KL from the model's own weights, nats a token", y: "tokens a second" };
  writeFileSync(`${path}.svg`, scatterChart({ title, notes, ...axes, points }));
}

function fail(): never {
  console.error(usage);
  process.exit(2);
}
