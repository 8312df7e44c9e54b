/**
 * What holding an answer to a form costs per token: trying the free winner, and making a mask where it is refused.
 *
 * Usage: node bench/run.mjs bench/constraint.ts [TOKENIZER.json] [VOCABULARY]
 * Default: MiniCPM4's tokenizer of 73,448 pieces in ../shared/data, which no clone has; there it says so.
 *
 * A text of the form is taken token by token. Before each token a mask is made twice: cold, as a model that always errs
 * would need it for the first time, and warm, as it is remembered. The step loop makes none while free winners are legal.
 */
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { median } from "../src/bench/statistics.ts";
import { enginesSource } from "../src/chat/answer-constraint.ts";
import { callText } from "../src/chat/call-text.ts";
import { callsEnd, callsStart } from "../src/chat/python-calls.ts";
import { maskWords } from "../src/constraint/constraint.ts";
import { Engines } from "../src/constraint/engines.ts";
import { Tokenizer } from "../src/model/tokenizer.ts";

const own = fileURLToPath(new URL("../../shared/data/tokenizers/MiniCPM4.tokenizer.json", import.meta.url));
const [file = own, size = "73448"] = process.argv.slice(2);
if (!existsSync(file)) {
  console.error(`There is no ${file}. Name a tokenizer.json and the model's vocabulary size.`);
  process.exit(2);
}
const tokenizer = new Tokenizer(file, JSON.parse(readFileSync(file, "utf8")));
const vocabSize = Number(size);
const engines = new Engines(enginesSource({ tokenizer, vocabSize, stopTokens: Int32Array.of(2, 73440) }));
console.log(`${cpus()[0]?.model}, ${vocabSize} tokens. Milliseconds of processor time.`);
timed("vocabulary, once a model", () => engines.vocabulary);

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

measure("JSON of a schema", () => engines.schema(person, free), JSON.stringify(value));
measure(
  "a call of one of 20 tools",
  () => engines.calls(rules, free),
  callText([{ name: "find_person_7", arguments: value }]),
);

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
