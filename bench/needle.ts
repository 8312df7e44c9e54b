/**
 * Finds needles: facts in long texts of held-out words, by length, depth and number of facts of the same form, with sparse
 * attention and with dense (figure 7 of the MiniCPM4 report, arXiv:2506.07900). Greedy, by this engine.
 *
 * Usage: node bench/run.mjs bench/needle.ts [MODEL] [--out FILE] [--sparse on,off] [--lengths N,...] [--keys N,...]
 *                        [--depths D,...] [--kv-type f32|f16|int8] [--tokens-per-cell N] [--items N] [--draw]
 * MODEL is nano, or any folder with a tokenizer; lengths go beyond what a model was made for, nano's up to eight times. Prints
 * a table; `--out` writes it to FILE.md, the numbers to FILE.json and the heat maps to FILE.svg. FILE.json is written after
 * each length, and cells that it has of the same weights and settings are not run again; `--draw` runs none. FILE.md names
 * the last run. A text is read once for all the facts that it is asked for. It needs python3, for the texts. The whole grid
 * of nano takes some 6 minutes on two quiet cores:
 *
 *     node bench/run.mjs bench/needle.ts nano --out bench/results/needle-nano
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BenchModel, loadBenchModel } from "../src/bench/bench-model.ts";
import { ChatTemplate } from "../src/chat/template.ts";
import { openModel } from "../src/model/load.ts";
import { chooseSparse } from "../src/model/sparse-rule.ts";
import type { KvType } from "../src/native/binding.ts";
import { type Cell, cellsOf, type GridOptions, type Outcome, textsOf } from "./needle/grid.ts";
import { type NeedleReport, needleChart, needleMarkdown } from "./needle/report.ts";
import { runText } from "./needle/run-text.ts";
import { type Encode, makeTexts } from "./needle/texts.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string" },
    sparse: { type: "string", default: "on,off" },
    lengths: { type: "string", default: "512,1024,2048,4096,8192,16384,32768" },
    keys: { type: "string", default: "1,9" },
    depths: { type: "string", default: "0,0.25,0.5,0.75,1" },
    "kv-type": { type: "string", default: "f16" },
    "tokens-per-cell": { type: "string", default: "4096" },
    items: { type: "string", default: "8" },
    draw: { type: "boolean", default: false },
  },
});
const numbers = (text: string) => text.split(",").map(Number);
const modes = values.sparse.split(",") as ("on" | "off")[];
const kvType = values["kv-type"] as KvType;
const grid: GridOptions = {
  lengths: numbers(values.lengths),
  keys: numbers(values.keys),
  depths: numbers(values.depths),
  tokensPerCell: Number(values["tokens-per-cell"]),
  mostItems: Number(values.items),
};
const counts = [...grid.lengths, ...grid.keys, grid.tokensPerCell, grid.mostItems];
if (
  !modes.every((mode) => mode === "on" || mode === "off") ||
  !["f32", "f16", "int8"].includes(kvType) ||
  !counts.every((count) => Number.isInteger(count) && count > 0) ||
  !grid.depths.every((depth) => depth >= 0 && depth <= 1)
) {
  console.error("usage: see the head of bench/needle.ts");
  process.exit(2);
}

const [reference = "nano"] = positionals;
const opened = openModel(reference);
const { tokenizer, config } = opened;
const template = new ChatTemplate(tokenizer, {
  source: opened.chatTemplate,
  file: opened.path,
  tokens: opened.templateTokens,
});
const encode: Encode = (content) =>
  template.encode([{ role: "user", content }], { addGenerationPrompt: true }).tokens;
const weights = weightsHash(opened.path);
const rule = chooseSparse(opened.path, config, "on").text;

let about: Omit<NeedleReport, "cells"> | undefined;
let cells = earlierCells();
if (!values.draw) for (const mode of modes) await runMode(mode);
if (!about) {
  console.error(`Nothing was run, and ${values.out ?? "--out"} has no cells of these weights.`);
  process.exit(1);
}
const report = { ...about, cells };
const markdown = needleMarkdown(report);
console.log(markdown.join("\n"));
if (values.out !== undefined) {
  const given = process.argv.slice(2).filter((word) => word !== "--draw");
  const command = ["node bench/run.mjs bench/needle.ts", ...given].join(" ");
  const text = [`# Needles found by ${report.model}`, "", `    ${command}`, "", ...markdown, ""];
  writeFileSync(`${values.out}.md`, text.join("\n"));
  writeFileSync(`${values.out}.svg`, needleChart(report));
}

async function runMode(mode: "on" | "off"): Promise<void> {
  const attention = mode === "on" ? "sparse" : "dense";
  const missing = grid.lengths.flatMap((length) =>
    grid.keys.filter((keys) => !isHeld(attention, length, keys)).map((keys) => ({ length, keys })),
  );
  if (missing.length === 0) return;
  const model = await loadBenchModel(reference, { device: "cpu", kvType, sparse: mode });
  try {
    about ??= aboutOf(model);
    for (const { length, keys } of missing) {
      const found = await runCells(model, length, keys);
      cells = [
        ...cells.filter((cell) => !isOf(cell, attention, length, keys)),
        ...cellsOf(attention, { length, keys }, found),
      ];
      if (values.out !== undefined) {
        writeFileSync(`${values.out}.json`, `${JSON.stringify({ ...about, cells }, undefined, 1)}\n`);
      }
    }
  } finally {
    await model.native.dispose();
  }
}

async function runCells(model: BenchModel, length: number, keys: number): Promise<Outcome[]> {
  const found: Outcome[] = [];
  const texts = makeTexts(textsOf(length, keys, grid), encode);
  for (const [i, text] of texts.entries()) {
    if (process.stderr.isTTY)
      process.stderr.write(`\r${length} tokens, ${keys} keys: text ${i + 1} of ${texts.length} `);
    found.push(...(await runText(model, tokenizer, Int32Array.from(opened.stopTokens), text)));
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  return found;
}

function isOf(cell: Cell, attention: Cell["attention"], length: number, keys: number): boolean {
  return cell.attention === attention && cell.length === length && cell.keys === keys;
}

/** Whether the cells have all depths of it. */
function isHeld(attention: Cell["attention"], length: number, keys: number): boolean {
  const mine = cells.filter((cell) => isOf(cell, attention, length, keys));
  return grid.depths.every((depth) => mine.some((cell) => cell.depth === depth));
}

function aboutOf({ title, processor, native }: BenchModel): Omit<NeedleReport, "cells"> {
  const { isa, threads } = native;
  return { model: title, weights, kvType, processor, isa, threads, trainedLength: config.maxContext, rule };
}

/** What FILE.json has of the same weights, keys and values, and rule of sparse attention. */
function earlierCells(): readonly Cell[] {
  const file = `${values.out}.json`;
  if (values.out === undefined || !existsSync(file)) return [];
  const { cells: held, ...before } = JSON.parse(readFileSync(file, "utf8")) as NeedleReport;
  if (before.weights !== weights || before.kvType !== kvType) return [];
  about = { ...before, rule };
  return before.rule === rule ? held : held.filter(({ attention }) => attention === "dense");
}

/** SHA-256 over the weight files, in the order of their names. */
function weightsHash(path: string): string {
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => name.endsWith(".safetensors"))
        .sort()
        .map((name) => join(path, name))
    : [path];
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex");
}
