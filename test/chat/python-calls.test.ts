import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isMalformed } from "../../src/chat/call-format.ts";
import { parseCall, StatementSplitter } from "../../src/chat/python-calls.ts";
import type { ToolCall } from "../../src/tools/tool.ts";
import { sharedPath, testNeeding } from "../needs.ts";
import { pythonCall } from "./python-writer.ts";

const end = "<|tool_call_end|>";

function statements(pieces: readonly string[]): { all: string[]; rest: string | undefined; left: string } {
  const splitter = new StatementSplitter(end);
  const all: string[] = [];
  for (const [index, piece] of pieces.entries()) {
    const { statements, rest } = splitter.push(piece);
    all.push(...statements);
    if (rest !== undefined) return { all, rest: rest + pieces.slice(index + 1).join(""), left: "" };
  }
  return { all, rest: undefined, left: splitter.end() };
}

/** All calls of a block, and what is none. */
function parse(block: string) {
  const { all, left } = statements([block]);
  return [...all, left].map(parseCall).filter((call) => call !== undefined);
}

test.each<[string, ToolCall]>([
  ["f()", { name: "f", arguments: {} }],
  [
    'get_currency_exchange_rate(from_currency="USD",to_currency="EUR",amount=500)',
    {
      name: "get_currency_exchange_rate",
      arguments: { from_currency: "USD", to_currency: "EUR", amount: 500 },
    },
  ],
  [
    'searchPOI(city="杭州",extensions="base",keywords="电影院")',
    { name: "searchPOI", arguments: { city: "杭州", extensions: "base", keywords: "电影院" } },
  ],
  ["read-file.v2 (path = '/a b', )", { name: "read-file.v2", arguments: { path: "/a b" } }],
  [
    'mail(from="a", class="b", to-address="c")',
    { name: "mail", arguments: { from: "a", class: "b", "to-address": "c" } },
  ],
  ["f(a=[1, {'b': (2, 3)}],\n  b=-1.5) # why", { name: "f", arguments: { a: [1, { b: [2, 3] }], b: -1.5 } }],
  ["f(größe=1)", { name: "f", arguments: { größe: 1 } }],
  ["```python f(a=1)```", { name: "f", arguments: { a: 1 } }],
])("%s is a call", (text, call) => {
  expect(parseCall(text)).toEqual(call);
});

test.each(["", "  \n", "# nothing to do", "```python", "```", "```py"])("%j says nothing", (text) => {
  expect(parseCall(text)).toBeUndefined();
});

test.each([
  ['f("Paris")', 'a parameter\'s name is missing before "\\"Paris\\")"'],
  ["f(a=1", '"," or ")" is missing before the end'],
  ["f(a=1, a=2)", "a is given twice"],
  ["f(a==1)", 'a parameter\'s name is missing before "a==1)"'],
  ["f(a=b)", "b is no literal"],
  ["f(a=1).g(b=2)", 'more than a call: ".g(b=2)"'],
  ["x = f(a=1)", '"(" after x is missing before "= f(a=1)"'],
  ["f", '"(" after f is missing before the end'],
  ["I will call it.", '"(" after I is missing before "will call it."'],
  ["f(**{'a': 1})", "a parameter's name is missing before \"**{'a': 1})\""],
  ["(1)", 'a function\'s name is missing before "(1)"'],
])("%s is none: %s", (text, reason) => {
  expect(parseCall(` ${text}\n`)).toEqual({ text, reason });
});

test("statements end at line ends and semicolons outside of brackets and strings", () => {
  const block = '```python\nf(a=";\\n)", b=[1,\n2]); g()\nh(c="""x\n;y""")\n# it\'s; f(\n```';
  expect(statements([block])).toMatchObject({
    all: ["```python", 'f(a=";\\n)", b=[1,\n2])', " g()", 'h(c="""x\n;y""")', "# it's; f("],
    left: "```",
  });
});

test("the end counts outside of strings only, and what follows it is left over", () => {
  expect(statements([`f(a="${end}")\n${end} and more`])).toEqual({
    all: [`f(a="${end}")`, ""],
    rest: " and more",
    left: "",
  });
  expect(statements([`f(a=[1${end}x`])).toMatchObject({ all: ["f(a=[1"], rest: "x" });
});

test("a string that is not closed ends with its line, so that the calls after it count", () => {
  expect(parse('f(a="x)\n)\ng(b=1)')).toEqual([
    { text: 'f(a="x)\n)', reason: "a string is not closed" },
    { name: "g", arguments: { b: 1 } },
  ]);
});

const part = fc.constantFrom(
  ...["f(", ")", "a=", '"', "'", '"""', "\\", "\n", ";", "#", "[", "]", "{", "}", ",", "1", "x", " ", "é"],
  ...["<|tool_", "call_end|>", end, "```", "python", "True", "r'"],
);
const block = fc.array(part, { maxLength: 25 }).map((parts) => parts.join(""));

test("however a block is cut, its statements are the same, and no text is lost", () => {
  fc.assert(
    fc.property(block, fc.array(fc.nat({ max: 80 }), { maxLength: 10 }), (text, places) => {
      const starts = [0, ...places.sort((a, b) => a - b)];
      const pieces = starts.map((start, index) => text.slice(start, starts[index + 1]));
      const whole = statements([text]);
      expect(statements(pieces)).toEqual(whole);
      const { all, rest, left } = whole;
      const length = all.join("").length + left.length + (rest === undefined ? 0 : rest.length + end.length);
      expect(length + all.length - (rest === undefined ? 0 : 1)).toBe(text.length);
    }),
    { seed: 9, numRuns: 5000 },
  );
});

test("nothing that a model may write throws", () => {
  fc.assert(
    fc.property(block, (text) => {
      for (const call of parse(text)) expect(isMalformed(call) ? call.reason : call.name).not.toBe("");
    }),
    { seed: 10, numRuns: 5000 },
  );
});

test("a long argument is read in time that grows with its length, token by token", () => {
  const length = 200_000;
  const splitter = new StatementSplitter(end);
  const pieces = ['f(a="', ...new Array<string>(length / 4).fill("abc\\n"), '")\n'];
  const [statement = ""] = pieces.flatMap((piece) => splitter.push(piece).statements);
  expect(parseCall(statement)).toMatchObject({
    name: "f",
    arguments: { a: expect.stringMatching(/^abc\n/) },
  });
});

const bfcl = sharedPath("data/bfcl");
testNeeding([bfcl])("the answers of BFCL are read back, in JSON's spelling and in Python's", () => {
  const sets = ["simple_python", "multiple", "parallel"];
  const calls = sets.flatMap((set) => bfclCalls(join(bfcl, `BFCL_v4_${set}.answers.json`)));
  expect(calls.length).toBeGreaterThan(1000);
  for (const [index, call] of calls.entries()) {
    expect(parseCall(pythonCall(call))).toEqual(call);
    expect(parseCall(pythonCall(call, index))).toEqual(call);
  }
});

/** Each answer with the first of the values that are right; "" stands for a parameter left out. */
function bfclCalls(file: string): ToolCall[] {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.flatMap((line) =>
    (JSON.parse(line).ground_truth as Record<string, Record<string, ToolCall["arguments"][string][]>>[]).map(
      (answer) => {
        const [name = "", parameters = {}] = Object.entries(answer)[0] ?? [];
        const given = Object.entries(parameters).map(([parameter, values]) => [parameter, values[0]]);
        return { name, arguments: Object.fromEntries(given) };
      },
    ),
  );
}
