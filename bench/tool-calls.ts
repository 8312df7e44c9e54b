/**
 * How well a model calls functions, free and held to them: each step given the right history, by the rules of table 8 of
 * the MiniCPM4 report (bench/eval/expected-calls.ts).
 *
 * Usage: node bench/run.mjs bench/tool-calls.ts [MODEL] [ITEMS.jsonl...] [--limit N] [--temperature T] [--max-tokens N]
 *                        [--sessions N] [--bfcl FOLDER] [--out FILE]
 * MODEL is nano. ITEMS are evaluation items (bench/eval/items.ts), those with tools; without any, nano's held-out ones and
 * BFCL in FOLDER, default ../shared/data/bfcl, where it is there. `--limit` takes so many of each file, evenly.
 */
import { existsSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Reply } from "../src/chat/reply.ts";
import { checkOf } from "../src/constraint/json-schema.ts";
import {
  ConstraintError,
  ContextOverflowError,
  loadModel,
  type Result,
  type ToolChoice,
} from "../src/index.ts";
import { bfclFile, bfclParts, readBfcl } from "./eval/bfcl.ts";
import { type CallItem, markCalls } from "./eval/expected-calls.ts";
import { readItems } from "./eval/items.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    limit: { type: "string" },
    temperature: { type: "string", default: "0" },
    "max-tokens": { type: "string", default: "256" },
    sessions: { type: "string", default: "8" },
    bfcl: { type: "string" },
    out: { type: "string" },
  },
});
const [reference = "nano", ...named] = positionals;
const limit = Number(values.limit ?? Number.POSITIVE_INFINITY);
const [temperature, maxTokens, sessions] = [values.temperature, values["max-tokens"], values.sessions].map(
  Number,
);

const bfcl = values.bfcl ?? fileURLToPath(new URL("../../shared/data/bfcl", import.meta.url));
const heldOut = fileURLToPath(new URL("../models/nano/eval/held-out.jsonl", import.meta.url));
const files = named.length > 0 ? named : [heldOut];
const parts = named.length > 0 ? [] : bfclParts.map((part) => bfclFile(bfcl, part));
for (const file of parts.filter((part) => !existsSync(part))) console.error(`left out, there is no ${file}`);

interface Row {
  readonly set: string;
  readonly how: string;
  readonly asked: number;
  /** Shares, of the items where a call is right; `silent` of the others. */
  readonly names?: number;
  readonly parameters?: number;
  readonly values?: number;
  readonly silent?: number;
  /** Of all calls begun in answers that were not cut off: those that parse and are right by their schemas. */
  readonly wellFormed?: number;
  readonly leftOut: number;
  readonly seconds: number;
}

const model = await loadModel(reference);
const rows: Row[] = [];
try {
  for (const file of files) rows.push(...(await evaluate(basename(file), ownItems(file))));
  for (const file of parts.filter(existsSync)) rows.push(...(await evaluate(basename(file), readBfcl(file))));
} finally {
  await model.close();
}
const text = markdown(rows);
console.log(text);
if (values.out !== undefined) writeFileSync(values.out, `${text}\n`);

async function evaluate(set: string, all: readonly CallItem[]): Promise<Row[]> {
  const step = Math.max(1, all.length / limit);
  const items = Array.from(
    { length: Math.min(all.length, limit) },
    (_, at) => all[Math.floor(at * step)] as CallItem,
  );
  const found: Row[] = [];
  for (const how of [undefined, "auto", "required"] as const) {
    const asked = how === "required" ? items.filter(({ expected }) => expected.length > 0) : items;
    if (asked.length > 0) found.push(await measure(set, asked, how));
  }
  return found;
}

async function measure(
  set: string,
  items: readonly CallItem[],
  toolChoice: ToolChoice | undefined,
): Promise<Row> {
  const start = performance.now();
  const answers: (Result | undefined)[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      answers[index] = await ask(items[index] as CallItem, toolChoice);
      if (process.stderr.isTTY) process.stderr.write(`\r${set}: ${next} of ${items.length} `);
    }
  };
  await Promise.all(Array.from({ length: sessions as number }, worker));
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const marked = items.map(({ expected }, index) => ({
    expected,
    calls: answers[index]?.calls ?? [],
    answer: answers[index],
  }));
  const calling = marked.filter(({ expected }) => expected.length > 0);
  const marks = calling.map(({ expected, calls }) => markCalls(expected, calls));
  const quiet = marked.filter(({ expected }) => expected.length === 0);
  const forms = items.flatMap((item, index) => formsOf(item, answers[index]));
  return {
    set,
    how: toolChoice === undefined ? "free" : `held, ${toolChoice}`,
    asked: items.length,
    ...(marks.length > 0 && {
      names: share(marks, ({ names }) => names),
      parameters: share(marks, ({ parameters }) => parameters),
      values: share(marks, ({ values }) => values),
    }),
    ...(quiet.length > 0 && {
      silent: share(quiet, ({ answer }) => answer !== undefined && isSilent(answer)),
    }),
    ...(forms.length > 0 && { wellFormed: share(forms, (form) => form) }),
    leftOut: answers.filter((answer) => answer === undefined).length,
    seconds: (performance.now() - start) / 1000,
  };
}

/** Undefined where the prompt does not fit, or a tool cannot be called in Python's syntax. */
async function ask(
  { messages, tools }: CallItem,
  toolChoice: ToolChoice | undefined,
): Promise<Result | undefined> {
  try {
    return await model.chat(messages, {
      tools,
      toolChoice,
      temperature,
      maxTokens,
      repetitionPenalty: 1,
      seed: 1,
    });
  } catch (error) {
    if (error instanceof ContextOverflowError || error instanceof ConstraintError) return undefined;
    throw error;
  }
}

/** For each call in an answer, whether it is one of the tools' and right by its schema. */
function formsOf({ tools }: CallItem, answer: Result | undefined): boolean[] {
  if (!answer || answer.finishReason === "length") return [];
  const calls = answer.calls.map(({ name, arguments: given }) => {
    const tool = tools.find((one) => one.name === name);
    return (
      tool !== undefined && checkOf({ ...tool.parameters, additionalProperties: false })(given) === undefined
    );
  });
  return [...calls, ...(answer.malformedCalls ?? []).map(() => false)];
}

function isSilent({ calls, malformedCalls = [] }: Result): boolean {
  return calls.length + malformedCalls.length === 0;
}

function share<Value>(values: readonly Value[], isRight: (value: Value) => boolean): number {
  return values.filter(isRight).length / values.length;
}

/** Evaluation items with tools; their answers are read as a model's are. */
function ownItems(file: string): CallItem[] {
  const { tokenizer } = model;
  return readItems(file)
    .filter(({ tools }) => tools.length > 0)
    .map(({ id, messages, tools, expected }) => {
      const reply = new Reply({ decoder: () => tokenizer.decodeStream(), stopTokens: new Set(), stop: [] });
      reply.push({ tokens: tokenizer.encode(expected) });
      reply.end();
      const calls = reply.calls.map(({ name, arguments: given }) => ({
        name,
        values: Object.fromEntries(Object.entries(given).map(([parameter, value]) => [parameter, [value]])),
        optional: [],
      }));
      return { id, messages, tools, expected: calls };
    });
}

function markdown(all: readonly Row[]): string {
  const { name, isa, threads } = model.info;
  const percent = (part: number | undefined) => (part === undefined ? "" : (100 * part).toFixed(1));
  return [
    `${name}, ${isa}, ${threads} threads, temperature ${temperature}. Percent right.`,
    "",
    "| items | how | asked | names | parameters | values | no call | well-formed calls | left out | seconds |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...all.map((row) => {
      const parts = [row.names, row.parameters, row.values, row.silent, row.wellFormed].map(percent);
      return `| ${[row.set, row.how, row.asked, ...parts, row.leftOut, row.seconds.toFixed(1)].join(" | ")} |`;
    }),
  ].join("\n");
}
