/**
 * The curves in bench/results/: `minicpm bench --curve` for MiniCPM4-0.5B, and for MiniCPM4-8B beside Qwen3-8B, both beside
 * llama.cpp where it is installed (npm install --prefix bench/peers --ignore-scripts), weights in 4 bits.
 *
 * Usage: node bench/run.mjs bench/context-curve.ts [0.5b] [8b] [--draw] [-- FLAGS...]
 * Points go to bench/results/context-curve-SIZE.jsonl as they are measured, and those that are there are not measured again:
 * remove the file to begin anew. `--draw` measures nothing. FLAGS go to `minicpm bench`. It needs dist/ (npm run build), some
 * 10 minutes and 4 GB of memory for the 0.5B; more than an hour, 19 GB of memory and 60 GB of disk for the 8B.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fittedPoints } from "../src/bench/curve.ts";
import { curveChart, curveMarkdown } from "../src/bench/curve-report.ts";
import { findLlamaCpp } from "../src/bench/peers.ts";
import { distinct } from "../src/bench/statistics.ts";
import { readPoints } from "../src/cli/bench-curve.ts";
import { PeerNotFoundError } from "../src/index.ts";

const sizes: Readonly<Record<string, readonly string[]>> = {
  "0.5b": ["--shape", "minicpm4-0.5b", "--keep", "-p", "128", "--budget", "100"],
  "8b": [
    "--shape",
    "minicpm4-8b",
    "--vs-model",
    "qwen3-8b",
    "-p",
    "64",
    "-n",
    "4",
    "-r",
    "1",
    "--budget",
    "900",
  ],
};

const words = process.argv.slice(2);
const end = words.includes("--") ? words.indexOf("--") : words.length;
const [asked, flags] = [words.slice(0, end), words.slice(end + 1)];
const draw = asked.includes("--draw");
const named = asked.filter((word) => word !== "--draw");
if (named.some((name) => !(name in sizes))) {
  console.error("usage: node bench/run.mjs bench/context-curve.ts [0.5b] [8b] [--draw] [-- FLAGS...]");
  process.exit(2);
}

for (const size of named.length > 0 ? named : Object.keys(sizes)) {
  const path = (ending: string) =>
    fileURLToPath(new URL(`./results/context-curve-${size}.${ending}`, import.meta.url));
  if (!draw) measure(size, path("jsonl"));
  if (existsSync(path("jsonl"))) report(size, path);
}

function measure(size: string, points: string): void {
  const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
  const bench = ["bench", ...(sizes[size] ?? []), "--pack", "w4", "--curve", "--points", points];
  const { status } = spawnSync(process.execPath, [main, ...bench, ...beside(), ...flags], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** llama.cpp where it is; the points tell which engines were there. */
function beside(): string[] {
  try {
    findLlamaCpp();
    return ["--vs", "llama.cpp"];
  } catch (error) {
    if (error instanceof PeerNotFoundError) return [];
    throw error;
  }
}

function report(size: string, path: (ending: string) => string): void {
  const measured = readPoints(path("jsonl"));
  const lengths = distinct(measured.map(({ length }) => length));
  const points = [...measured, ...fittedPoints(measured, lengths)];
  const notes = [
    "Random weights in the models' shapes, and made-up keys and values of the tokens before: speed does not depend on them.",
    "llama.cpp with flash attention on or off, whichever is faster at the length.",
    "The lines were measured one after the other, on a virtual machine whose speed varies between minutes.",
  ];
  const command = `node bench/run.mjs bench/context-curve.ts ${size}`;
  const text = ["# Speed over the length of the context", "", `    ${command}`, ""];
  const tables = curveMarkdown({ points, lengths, notes });
  writeFileSync(path("md"), [...text, ...tables, ""].join("\n"));
  writeFileSync(path("svg"), curveChart({ points, lengths, notes }));
}
