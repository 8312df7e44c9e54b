// Shows that the tests of CUDA's kernels can fail: makes one small mistake at a time in the PTX of each kernel, a barrier left
// out, a comparison off by one, a constant or an operand changed, and runs the tests of test/cuda/ on it.
//
// Usage: node test/ptx/mutations.mjs [--count 8] [WORD]      mistakes for each kernel, and a part of a kernel's name
//
// Needs build/ptx/ptx_test (test/ptx/run). Mistakes are made where the tests come by. Prints for each kernel which share of its
// instructions that is, how many mistakes were found, and those that were not: some change nothing that counts. Exit code 1
// where of a kernel fewer than half were found.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const built = join(import.meta.dirname, "../../build/ptx");
const { values, positionals } = parseArgs({
  options: { count: { type: "string", default: "8" } },
  allowPositionals: true,
});

/** Mistakes by what they do to a line; null where it has no place for them. */
const mistakes = [
  (line) => (/\bbar\.sync/.test(line) ? "" : null),
  (line) => swap(line, /\bsetp\.lt\.([su])/, "setp.le.$1"),
  (line) => swap(line, /\bsetp\.ge\.([su])/, "setp.gt.$1"),
  (line) => swap(line, /\badd\.(s32|s64)\b/, "sub.$1"),
  (line) => swap(line, /\badd\.rn\b/, "sub.rn"),
  (line) => swap(line, /\bmul\.rn\b/, "add.rn"),
  (line) => swap(line, /(\bfma\.rn\S*\s+\S+), (\S+), (\S+), (\S+);/, "$1, $4, $3, $2;"),
  (line) => swap(line, /(\bselp\S+\s+\S+), (\S+), (\S+), /, "$1, $3, $2, "),
  (line) => swap(line, /(\bshfl\S+\s+\S+ \S+), (\S+), (\S+), /, "$1, $3, $2, "),
  (line) => swap(line, /\bcvt\.rni\b/, "cvt.rzi"),
  (line) => swap(line, /(, )(\d+);$/, (_, comma, number) => `${comma}${Number(number) + 1};`),
];

function swap(line, from, to) {
  return from.test(line) ? line.replace(from, to) : null;
}

/** The PTX in an object that nvcc compiled without compressing it. */
function ptxOf(object) {
  const bytes = readFileSync(object);
  const version = bytes.indexOf("\n.version ");
  if (version < 0) return [];
  let start = version;
  while (bytes[start - 1] === 10) start--;
  return bytes.toString("latin1", start, bytes.indexOf(0, version)).split("\n");
}

/** The kernels of a module, and their lines from `first` up to `end`. */
function kernelsOf(lines) {
  const starts = lines.flatMap((line, at) => {
    const name = /\.entry (\w+)/.exec(line)?.[1];
    return name ? [[name, at]] : [];
  });
  return starts.map(([name, at], i) => ({ name, first: at, end: starts[i + 1]?.[1] ?? lines.length }));
}

/** `count` mistakes spread over the lines that run, all kinds in turn, the same ones every time. */
function choose(lines, ran, count) {
  const kinds = mistakes.map((mistake) => {
    const places = [];
    for (const at of ran) {
      const text = mistake(lines[at]);
      if (text !== null) places.push({ at, text });
    }
    return places;
  });
  const chosen = [];
  for (let turn = 0; chosen.length < count && kinds.some((places) => places.length > 0); turn++) {
    const places = kinds[turn % kinds.length];
    if (places.length === 0) continue;
    const [place] = places.splice(Math.floor(places.length * ((turn * 0.618) % 1)), 1);
    chosen.push(place);
  }
  return chosen;
}

/** Whether a line is an instruction: no label, directive, comment, brace or parameter. */
const isInstruction = (line) => /^\s*(@\S+\s+)?\{?\s*[a-z][a-z0-9]*[.;\s]/.test(line);

const folder = mkdtempSync(join(tmpdir(), "minicpm-mutations-"));
const edit = join(folder, "edit");
const program = join(folder, "ptx_test"); // a copy: what is built meanwhile is another
copyFileSync(join(built, "ptx_test"), program);
const modules = readdirSync(join(built, "kernels/cuda"))
  .filter((name) => name.endsWith(".cu.o"))
  .map((file) => ({ file, lines: ptxOf(join(built, "kernels/cuda", file)) }));

/** Where the tests of a kernel file are; of others, all are run. */
const testFiles = [
  [/^linear/, "linear_test"],
  [/^sample/, "sample_test"],
  [/^(embed|rms_norm|rope|silu_mul)/, "rows_test"],
  [/^(attention|kv_append|pool_keys|score_blocks|select_blocks)/, "kv_test"],
];

/** Whether the tests pass. */
function pass(tests, env) {
  const run = spawnSync(program, [tests], {
    env: { ...process.env, ...env },
    timeout: 60_000,
    stdio: "ignore",
  });
  return run.status === 0;
}

/** Whether a test fails with the mistake, in either order of blocks and warps. */
function isFound(file, kernel, { at, text }) {
  const tests = testFiles.find(([names]) => names.test(file))?.[1] ?? "on CUDA";
  writeFileSync(edit, `${kernel}\n${at + 1}\n${text}\n`);
  return ["ascending", "descending"].some((order) => !pass(tests, { PTX_EDIT: edit, PTX_ORDER: order }));
}

/** The lines, counted from 0, that the tests run of each kernel. */
function linesRun() {
  const path = join(folder, "lines");
  if (!pass("on CUDA", { PTX_LINES: path })) throw new Error("the tests fail without any mistake");
  const kernels = new Map();
  for (const line of readFileSync(path, "utf8").trim().split("\n")) {
    const [kernel, number] = line.split("\t");
    if (!kernels.has(kernel)) kernels.set(kernel, []);
    kernels.get(kernel).push(Number(number) - 1);
  }
  return kernels;
}

const ran = linesRun();
let poor = 0;
for (const { file, lines } of modules) {
  for (const kernel of kernelsOf(lines)) {
    if (!kernel.name.includes(positionals[0] ?? "")) continue;
    const visited = ran.get(kernel.name) ?? [];
    const all = lines.slice(kernel.first, kernel.end).filter(isInstruction).length;
    const tried = choose(lines, visited, Number(values.count));
    const missed = tried.filter((place) => !isFound(file, kernel.name, place));
    const share = `${Math.round((100 * visited.length) / all)} % of it run`;
    console.log(`${tried.length - missed.length} of ${tried.length} found, ${share}  ${kernel.name}`);
    for (const { at, text } of missed)
      console.log(`      line ${at + 1}: ${lines[at].trim()} -> ${text.trim()}`);
    if (missed.length * 2 > tried.length) poor++;
  }
}
rmSync(folder, { recursive: true });
process.exitCode = poor > 0 ? 1 : 0;
