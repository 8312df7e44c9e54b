/**
 * What holding an answer to a form costs per token: trying the free winner, and making a mask where it is refused.
 *
 * Usage: node bench/run.mjs bench/constraint.ts [TOKENIZER.json] [VOCABULARY] [--instructions]
 * Default: MiniCPM4's tokenizer of 73,448 pieces in ../shared/data, which no clone has; there it says so.
 * `--instructions` counts instructions under valgrind (callgrind) instead of measuring time: minutes.
 *
 * A text of the form is taken token by token. Before each token a mask is made twice: cold, as a model that always errs
 * would need it for the first time, and warm, as it is remembered. The step loop makes none while free winners are legal.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildSync } from "esbuild";
import { median } from "../src/bench/statistics.ts";
import { enginesSource } from "../src/chat/answer-constraint.ts";
import { callText } from "../src/chat/call-text.ts";
import { callsEnd, callsStart } from "../src/chat/python-calls.ts";
import { maskWords } from "../src/constraint/constraint.ts";
import { Engines } from "../src/constraint/engines.ts";
import { Tokenizer } from "../src/model/tokenizer.ts";

const own = fileURLToPath(new URL("../../shared/data/tokenizers/MiniCPM4.tokenizer.json", import.meta.url));
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { instructions: { type: "boolean" }, counted: { type: "string" } },
});
const [file = own, size = "73448"] = positionals;
if (!existsSync(file)) {
  console.error(`There is no ${file}. Name a tokenizer.json and the model's vocabulary size.`);
  process.exit(2);
}
const tokenizer = new Tokenizer(file, JSON.parse(readFileSync(file, "utf8")));
const vocabSize = Number(size);

const person = {
  type: "object",
  properties: {
    name: { type: "string" },
    city: { type: "string", maxLength: 40 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    tags: { type: "array", items: { enum: ["friend", "colleague", "family"] }, maxItems: 3 },
    address: {
      type: "object",
      properties: { street: { type: "string" }, number: { type: "integer" } },
      required: ["street"],
    },
  },
  required: ["name", "age"],
  additionalProperties: false,
};
const value = {
  name: "Ada Lovelace, countess",
  city: "London",
  age: 36,
  tags: ["friend", "family"],
  address: { street: "St James's Square", number: 12 },
};
const free = { tags: [] };
const tools = Array.from({ length: 20 }, (_, at) => ({ name: `find_person_${at}`, parameters: person }));
const rules = {
  form: "python",
  tools,
  tags: { start: callsStart, end: callsEnd },
  calls: "required",
} as const;

type Start = (engines: Engines) => ReturnType<Engines["schema"]>;
const cases: readonly { readonly name: string; readonly start: Start; readonly text: string }[] = [
  {
    name: "JSON of a schema",
    start: (engines) => engines.schema(person, free),
    text: JSON.stringify(value),
  },
  {
    name: "a call of one of 20 tools",
    start: (engines) => engines.calls(rules, free),
    text: callText([{ name: "find_person_7", arguments: value }]),
  },
];
if (flags.counted !== undefined) count(flags.counted);
else if (flags.instructions) runCounted();
else measureAll();

function measureAll(): void {
  console.log(`${cpus()[0]?.model}, ${vocabSize} tokens. Milliseconds of processor time.`);
  const engines = newEngines();
  timed("vocabulary, once a model", () => engines.vocabulary);
  for (const { name, start, text } of cases) measure(name, () => start(engines), text);
}

function newEngines(): Engines {
  return new Engines(enginesSource({ tokenizer, vocabSize, stopTokens: Int32Array.of(2, 73440) }));
}

function measure(name: string, start: () => ReturnType<Engines["schema"]>, text: string): void {
  timed(`${name}: machine, once a schema`, start);
  const constraint = start();
  const mask = new Uint32Array(maskWords(vocabSize));
  const [cold, warm, tried]: [number[], number[], number[]] = [[], [], []];
  for (const token of tokenizer.encode(text)) {
    cold.push(milliseconds(() => constraint.fill(mask)));
    warm.push(milliseconds(() => constraint.fill(mask), 20));
    const tryOut = () => constraint.accept(token) && constraint.rollback(1);
    tried.push(milliseconds(tryOut, 20));
    const taken = constraint.accept(token);
    if (!taken) throw new Error(`${name} refuses ${JSON.stringify(tokenizer.idToToken(token))}`);
  }
  if (!constraint.isWhole) throw new Error(`${name} is not whole at its end`);
  for (const [what, times] of Object.entries({
    "mask, cold": cold,
    "mask, warm": warm,
    "winner tried": tried,
  })) {
    const most = Math.max(...times);
    console.log(
      `${name}: ${what}`.padEnd(48),
      `median ${median(times).toFixed(4)}   most ${most.toFixed(3)}   of ${times.length}`,
    );
  }
}

function timed(name: string, make: () => unknown): void {
  console.log(name.padEnd(48), milliseconds(make).toFixed(1));
}

/** Of this process's processor time, so that others on the machine do not count. */
function milliseconds(run: () => unknown, times = 1): number {
  const start = process.cpuUsage().user;
  for (let time = 0; time < times; time++) run();
  return (process.cpuUsage().user - start) / 1000 / times;
}

/** This script as one file, run by node under callgrind: it counts only what is asked for, or Vite would be counted too. */
function runCounted(): void {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const script = join(root, "build/bench/constraint.mjs"); // from there dist/engines is where the sources look for it
  buildSync({
    entryPoints: [join(root, "bench/constraint.ts")],
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
  });
  const folder = mkdtempSync(join(root, "build/bench/callgrind-"));
  const valgrind = ["--tool=callgrind", "--instr-atstart=no", `--callgrind-out-file=${folder}/out.%p`];
  const node = [process.execPath, "--single-threaded", script, file, size, "--counted", folder];
  try {
    const { status, error } = spawnSync("valgrind", ["-q", ...valgrind, ...node], { stdio: "inherit" });
    if (error) console.error(`valgrind is needed: ${error.message}`);
    process.exitCode = status ?? 2;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Inside of valgrind: a text is taken by some engines for the compiler's sake, then by others: masks are made before each
 * token, remembered before each, or not asked for.
 */
function count(folder: string): void {
  console.log(`callgrind, ${vocabSize} tokens. Instructions a token, of node and what it compiled.`);
  const instrument = (to: "on" | "off") => callgrind("-i", to);
  for (const { name, start, text } of cases) {
    const tokens = tokenizer.encode(text);
    const mask = new Uint32Array(maskWords(vocabSize));
    const take = (engines: Engines, masks: boolean) => {
      const constraint = start(engines);
      for (const token of tokens) {
        if (masks) constraint.fill(mask);
        constraint.accept(token);
      }
    };
    for (let engine = 0; engine < 2; engine++) {
      const first = newEngines();
      for (let time = 0; time < 40; time++) take(first, time % 4 > 0);
    }
    const engines = newEngines();
    engines.vocabulary.plain(0);
    start(engines);
    const times = 10;
    const several = (masks: boolean) => () => {
      for (let time = 0; time < times; time++) take(engines, masks);
    };
    instrument("on");
    counted(folder, () => {}); // what asking for a count takes is counted with it
    const nothing = counted(folder, () => {});
    const cold = counted(folder, () => take(engines, true)) - nothing;
    const warm = (counted(folder, several(true)) - nothing) / times;
    const free = (counted(folder, several(false)) - nothing) / times;
    instrument("off");
    const each = (all: number) => Math.round(all / tokens.length).toLocaleString("en");
    console.log(`${name}: mask, cold`.padEnd(48), each(cold - free));
    console.log(`${name}: mask, warm`.padEnd(48), each(warm - free));
    console.log(`${name}: winner taken, no mask`.padEnd(48), each(free), `  of ${tokens.length}`);
  }
}

function callgrind(...command: string[]): void {
  execFileSync("callgrind_control", [...command, String(process.pid)], { stdio: "ignore" });
}

/** Instructions since the count before. */
function counted(folder: string, run: () => void): number {
  run();
  callgrind("-d");
  const files = readdirSync(folder).map((name) => ({ name, part: Number(name.split(".")[2] ?? 0) }));
  const [latest] = files.sort((a, b) => b.part - a.part);
  const dump = readFileSync(join(folder, latest?.name ?? ""), "utf8");
  return Number(/^(?:totals|summary): (\d+)/m.exec(dump)?.[1] ?? Number.NaN);
}
