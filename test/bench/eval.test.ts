/** bench/eval: what counts as right, and how it is added up. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ask, beginsApart } from "../../bench/eval/ask.ts";
import { type EvalItem, readItems } from "../../bench/eval/items.ts";
import { type Answer, marks, type Rules } from "../../bench/eval/rules.ts";
import { scores, tables } from "../../bench/eval/scores.ts";
import { loadModel, type Model } from "../../src/index.ts";
import { openModel } from "../../src/model/load.ts";
import { addonPath } from "../../src/native/binding.ts";
import { testNeeding } from "../needs.ts";

function itemOf(fields: Partial<EvalItem>): EvalItem {
  const messages = [{ role: "user", content: "Hi" }] as const;
  return { id: "1", suite: "chat", split: "held", messages, tools: [], expected: "", accept: [], ...fields };
}

function answerOf(raw: string, fields: Partial<Answer> = {}): Answer {
  return { raw, text: raw, calls: [], malformed: 0, ...fields };
}

/** The rows that are right, and those that are not. */
function judged(item: EvalItem, answer: Answer, expected: Answer, rules: Rules = "report") {
  return Object.fromEntries(marks(item, answer, expected, rules).map(({ row, right }) => [row, right]));
}

const f = { name: "f", arguments: { a: 1, b: ["x", { c: 2, d: 3 }] } };
const called = answerOf("", { calls: [f] });
const toolRow = (name: boolean, parameters: boolean, values: boolean) => ({
  "tool name": name,
  "tool parameters": parameters,
  "tool values": values,
});

test.each([
  [
    "the same call, fields in another order",
    [{ name: "f", arguments: { b: ["x", { d: 3, c: 2 }], a: 1 } }],
    toolRow(true, true, true),
  ],
  ["another value", [{ name: "f", arguments: { ...f.arguments, a: 2 } }], toolRow(true, true, false)],
  ["a text for a number", [{ name: "f", arguments: { ...f.arguments, a: "1" } }], toolRow(true, true, false)],
  ["a parameter missing", [{ name: "f", arguments: { a: 1 } }], toolRow(true, false, false)],
  ["a parameter too many", [{ name: "f", arguments: { ...f.arguments, e: 1 } }], toolRow(true, false, false)],
  ["another function with the same parameters", [{ ...f, name: "g" }], toolRow(false, false, false)],
  ["a call too many", [f, f], toolRow(false, false, false)],
  ["no call", [], toolRow(false, false, false)],
])("a call is judged by name, parameters, values: %s", (_what, calls, right) => {
  const item = itemOf({ suite: "tool" });
  expect(judged(item, answerOf("", { calls }), called)).toEqual(right);
});

test("a line that is no call makes the calls beside it wrong", () => {
  const answer = answerOf("x", { calls: [f], malformed: 1 });
  expect(judged(itemOf({ suite: "tool" }), answer, called)).toEqual(toolRow(false, false, false));
});

test("where no call is due, silence is right; after a result, the answer is", () => {
  const item = itemOf({ suite: "tool" });
  expect(judged(item, answerOf("Anything."), answerOf("Hello."))).toEqual({ "no call": true });
  expect(judged(item, called, answerOf("Hello."))).toEqual({ "no call": false });
  const after = itemOf({ suite: "tool", messages: [{ role: "tool", content: "5" }] });
  expect(judged(after, answerOf("It is 5."), answerOf("It is 5."))).toEqual({ "after result": true });
  expect(judged(after, answerOf("It is 6."), answerOf("It is 5."))).toEqual({ "after result": false });
});

test("JSON counts by value; validity is a row of its own", () => {
  const item = itemOf({ suite: "json" });
  const wanted = answerOf('{"a": 1, "b": "x"}');
  const row = (exact: boolean, valid: boolean) => ({ "JSON exact": exact, "JSON valid": valid });
  expect(judged(item, answerOf('{"b":"x","a":1}\n'), wanted)).toEqual(row(true, true));
  expect(judged(item, answerOf('{"a": 1}'), wanted)).toEqual(row(false, true));
  expect(judged(item, answerOf('{"a": 1'), wanted)).toEqual(row(false, false));
  expect(judged(item, answerOf("5"), wanted)).toEqual(row(false, false));
});

test("an answer is right when it is one of those accepted; a needle when its number is there", () => {
  const chat = itemOf({ accept: ["Hello!"] });
  expect(judged(chat, answerOf(" Hello!\n"), answerOf("Hi!"))).toEqual({ chat: true });
  expect(judged(chat, answerOf("Hey!"), answerOf("Hi!"))).toEqual({ chat: false });
  const needle = itemOf({ suite: "needle" });
  const wanted = answerOf("The code for the 7 seas is 12345.");
  expect(judged(needle, answerOf("It is 12345"), wanted)).toEqual({ needle: true });
  expect(judged(needle, answerOf("7 seas"), wanted)).toEqual({ needle: false });
});

// Worked out with the regular expressions of the first form's eval.py.
test("handed-over rules compare texts", () => {
  const block = (code: string) => `<|tool_call_start|>\n\`\`\`python\n${code}\n\`\`\`\n<|tool_call_end|>\n`;
  const item = itemOf({ suite: "tool", expected: block('f-g(a="x",b=1)\nh()') });
  const mine = (raw: string) => judged(item, answerOf(raw), answerOf(""), "handed-over");
  expect(mine(block('f-g(a="x",b=1)\nh()'))).toEqual(toolRow(true, true, true));
  expect(mine(block('f-g(a="x", b=1)\nh()'))).toEqual(toolRow(true, true, false));
  expect(mine(block("k(a=5,b=6)\nh()"))).toEqual(toolRow(false, true, false));
  expect(mine(block('f-g(a="x",b=1)'))).toEqual(toolRow(false, false, false));
  expect(mine('f-g(a="x",b=1)\nh()')).toEqual(toolRow(false, false, false));
  const plain = itemOf({ suite: "json", expected: '{"a": 1}' });
  expect(judged(plain, answerOf('{"a":1}'), answerOf(""), "handed-over")).toEqual({ "JSON exact": false });
  const silent = itemOf({ suite: "tool", expected: "Hi." });
  expect(judged(silent, answerOf("Ho."), answerOf(""), "handed-over")).toEqual({ "no call": true });
});

test("scores are percentages by row and split, what was left out is wrong", () => {
  const answer = answerOf("a");
  const item = (fields: Partial<EvalItem>) => itemOf({ expected: "a", ...fields });
  const needle = { tokens: 256, depth: 0.5, keys: 4 };
  const asked = [
    { item: item({}), answer, expected: answer },
    { item: item({}), answer: answerOf("b"), expected: answer },
    { item: item({ split: "seen" }), answer, expected: answer, leftOut: "It does not fit." },
    { item: item({ suite: "needle", needle }), answer, expected: answer },
    {
      item: item({ suite: "needle", needle: { tokens: 300, depth: 0.5, keys: 4 } }),
      answer: answerOf(""),
      expected: answer,
    },
  ];
  const found = scores(asked, "report");
  expect(found).toEqual([
    { row: "chat", split: "held", percent: 50, items: 2 },
    { row: "chat", split: "seen", percent: 0, items: 1 },
    { row: "needle", split: "held", percent: 50, items: 2, needle },
  ]);
  expect(tables(found)).toEqual([
    "| | held | seen |",
    "| --- | ---: | ---: |",
    "| chat | 50.0 (2) | 0.0 (1) |",
    "",
    "| needle, tokens | keys | split | all depths | at 50 % |",
    "| ---: | ---: | --- | ---: | ---: |",
    "| 256 | 4 | held | 50.0 (2) | 50.0 |",
  ]);
});

test("items are read line by line, and what is none is named with its line", () => {
  const folder = mkdtempSync(join(tmpdir(), "minicpm-eval-"));
  try {
    const file = join(folder, "items.jsonl");
    const { accept, ...item } = itemOf({ suite: "tool" });
    const tools = [{ type: "function", function: { name: "f" } }, { name: "g" }];
    writeFileSync(file, `${JSON.stringify({ ...item, tools })}\n\n`);
    expect(readItems(file)).toEqual([{ ...item, accept, tools: [{ name: "f" }, { name: "g" }] }]);
    writeFileSync(file, `${JSON.stringify(item)}\n{"suite": "tool"}\n`);
    expect(() => readItems(file)).toThrow(`${file}:2: id is no text`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a model that begins its answers with a space has its earlier answers encoded apart", async () => {
  const { tokenizer } = openModel("tiny");
  const first = (text: string) => Int32Array.of(tokenizer.encode(text)[0] ?? 0);
  const answering = (tokens: Int32Array) =>
    ({ tokenizer, chat: async () => ({ tokens }) }) as unknown as Model;
  const spaced = first("a");
  const letter = Int32Array.of(5 + "a".charCodeAt(0));
  expect(await beginsApart(answering(spaced), [itemOf({})])).toBe(true);
  expect(await beginsApart(answering(letter), [itemOf({})])).toBe(false);
  const later = itemOf({ messages: [{ role: "assistant", content: "a" }] });
  expect(await beginsApart(answering(spaced), [later])).toBe(false);
});

testNeeding([addonPath()], "npm run build:native")(
  "a model is asked many items at once, and one that does not fit is left out",
  async () => {
    await using model = await loadModel("nano", { contextLength: 300, kvType: "f32" });
    const france = { role: "user", content: "What is the capital of France?" } as const;
    const paris = { role: "assistant", content: "The capital of France is Paris." } as const;
    const items = [
      itemOf({ suite: "knowledge", messages: [france], expected: paris.content }),
      itemOf({ messages: [france, paris, { role: "user", content: "Thanks" }] }),
      itemOf({ messages: [{ role: "user", content: "word ".repeat(400) }] }),
    ];
    for (const history of ["text", "apart"] as const) {
      const asked = await ask(model, items, { sessions: 2, history, maxTokens: () => 24 });
      expect(asked.map(({ item }) => item)).toEqual(items);
      expect(asked[0]?.answer.text).toContain("Paris");
      expect(asked[1]?.answer.raw).not.toMatch(/^ |^$/);
      expect(asked[2]?.leftOut).toMatch(/do not fit/);
      expect(asked[2]?.answer.raw).toBe("");
    }
  },
);
