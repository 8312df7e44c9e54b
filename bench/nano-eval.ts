/**
 * How well a model answers evaluation items (bench/eval/): greedy, by this engine.
 *
 * Usage: node bench/run.mjs bench/nano-eval.ts [MODEL] [ITEMS.jsonl...] [--out FILE] [--answers FILE] [--kv-type f32|f16]
 *                        [--sparse auto|on|off] [--sessions N] [--history text|apart] [--max-tokens N]
 * MODEL is nano, ITEMS are models/nano/eval/*.jsonl where none are named. Prints markdown tables; `--out` writes them to
 * FILE.md and the numbers to FILE.json, `--answers` every answer as a JSON line. Earlier answers of a conversation have
 * the tokens that the model itself would write, see `history` in bench/eval/ask.ts. Items in a file named handed-over.jsonl
 * are judged by the rules and with the limits of nano's first form, all others by those of the MiniCPM4 report
 * (bench/eval/rules.ts).
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadModel, type Model } from "../src/index.ts";
import { openCheckpoint } from "../src/model/load.ts";
import { type Asked, type AskOptions, ask, beginsApart } from "./eval/ask.ts";
import { readItems } from "./eval/items.ts";
import { marks, type Rules } from "./eval/rules.ts";
import { type Score, scores, tables } from "./eval/scores.ts";

interface FileReport {
  readonly file: string;
  readonly rules: Rules;
  readonly history: AskOptions["history"];
  readonly items: number;
  readonly leftOut: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly scores: readonly Score[];
}

const usage =
  "usage: node bench/run.mjs bench/nano-eval.ts [MODEL] [ITEMS.jsonl...] [--out FILE] [--answers FILE] " +
  "[--kv-type f32|f16] [--sparse auto|on|off] [--sessions N] [--history text|apart] [--max-tokens N]";
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string" },
    answers: { type: "string" },
    "kv-type": { type: "string", default: "f32" },
    sparse: { type: "string", default: "auto" },
    sessions: { type: "string", default: "32" },
    history: { type: "string" },
    "max-tokens": { type: "string", default: "256" },
  },
});
const { "kv-type": kvType, sparse } = values;
const history = values.history as AskOptions["history"] | undefined;
const sessions = Number(values.sessions);
const mostTokens = Number(values["max-tokens"]);
if (
  (kvType !== "f32" && kvType !== "f16") ||
  (sparse !== "auto" && sparse !== "on" && sparse !== "off") ||
  !["text", "apart", undefined].includes(history) ||
  ![sessions, mostTokens].every((number) => Number.isInteger(number) && number > 0)
) {
  console.error(usage);
  process.exit(2);
}

const [reference = "nano", ...named] = positionals;
const files = named.length > 0 ? named : ownItems();
const model = await loadModel(reference, { kvType, sparse });
const reports: FileReport[] = [];
const answers: string[] = [];
try {
  for (const file of files) reports.push(await evaluate(model, file));
} finally {
  await model.close();
}

const { name, isa, threads, sparse: attention } = model.info;
const weights = weightsHash(reference);
const summary = { model: name, weights, kvType, attention, isa, threads, greedy: true, files: reports };
const markdown = [
  `# ${name}`,
  "",
  `Weights sha256 ${weights.slice(0, 16)}, KV ${kvType}, ${isa}, greedy; attention: ${attention}.`,
]
  .concat(reports.flatMap(section))
  .join("\n");
console.log(markdown);
if (values.out !== undefined) {
  writeFileSync(`${values.out}.md`, `${markdown}\n`);
  writeFileSync(`${values.out}.json`, `${JSON.stringify(summary, undefined, 1)}\n`);
}
if (values.answers !== undefined) writeFileSync(values.answers, answers.join(""));

async function evaluate(model: Model, file: string): Promise<FileReport> {
  const items = readItems(file);
  const handedOver = basename(file) === "handed-over.jsonl";
  const rules: Rules = handedOver ? "handed-over" : "report";
  const options: AskOptions = {
    sessions,
    history: history ?? ((await beginsApart(model, items)) ? "apart" : "text"),
    maxTokens: ({ suite }, expected) =>
      handedOver ? (suite === "needle" ? 40 : expected.length + 10) : mostTokens,
    onAnswer: (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${basename(file)}: ${done} of ${items.length}`);
    },
  };
  const start = performance.now();
  const asked = await ask(model, items, options);
  const seconds = (performance.now() - start) / 1000;
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  answers.push(...asked.map((one) => answerLine(one, rules)));
  return {
    file: basename(file),
    rules,
    history: options.history,
    items: items.length,
    leftOut: Object.fromEntries(leftOut(asked)),
    seconds: Math.round(10 * seconds) / 10,
    scores: scores(asked, rules),
  };
}

function section(report: FileReport): string[] {
  const { file, rules, items, seconds } = report;
  const left = Object.entries(report.leftOut).map(
    ([reason, count]) => `${count} items counted wrong: ${reason}`,
  );
  return [
    "",
    `## ${file}`,
    "",
    `${items} items, ${rules} rules, ${seconds} s. Percent right (items).`,
    ...left,
    "",
  ].concat(tables(report.scores));
}

/** How many items had no answer, by reason; numbers in a reason do not tell it from others. */
function leftOut(asked: readonly Asked[]): Map<string, number> {
  const reasons = new Map<string, number>();
  for (const { leftOut } of asked) {
    const reason = leftOut?.replace(/\d+/g, "N");
    if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return reasons;
}

function answerLine({ item, answer, expected, leftOut }: Asked, rules: Rules): string {
  const { id, suite, split } = item;
  const right = Object.fromEntries(
    marks(item, answer, expected, rules).map(({ row, right }) => [row, right]),
  );
  const line = {
    id,
    suite,
    split,
    right,
    answer: answer.raw,
    expected: item.expected,
    ...(leftOut && { leftOut }),
  };
  return `${JSON.stringify(line)}\n`;
}

function ownItems(): string[] {
  const folder = fileURLToPath(new URL("../models/nano/eval", import.meta.url));
  const found = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  return found.sort().map((name) => join(folder, name));
}

/** Of the first weight file: says which version of the model was asked. */
function weightsHash(reference: string): string {
  const { path, plan } = openCheckpoint(reference);
  const file = statSync(path).isDirectory() ? (plan.files[0]?.path ?? "") : path;
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
