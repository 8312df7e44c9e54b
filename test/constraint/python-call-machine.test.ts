import { expect, test } from "vitest";
import { callsEnd, parseCall, StatementSplitter } from "../../src/chat/python-calls.ts";
import { walk } from "../../src/constraint/byte-machine.ts";
import { pythonCallMachine } from "../../src/constraint/python-call-machine.ts";
import { accepts } from "./made.ts";
import { expectRight, tools, wandered } from "./made-tools.ts";

const machine = pythonCallMachine(tools, { end: callsEnd });

/** A block as MiniCPM4 writes it. */
function fenced(...lines: string[]): string {
  return `\n\`\`\`python\n${lines.map((line) => `${line}\n`).join("")}\`\`\`\n${callsEnd}`;
}

test.each([
  'get_weather(city="Oslo")',
  'get_weather(city="Oslo",days=[1, -2],unit="celsius")',
  'get_weather(city="Oslo", days=[])',
  "get_weather(unit='it\\'s',city='say \"a\"')",
  'get_weather(unit="fahr\\"enheit",city=\'\')',
  'get_weather(city="\\x41\\u00e9\\n\\t\\\\ \\d 日本 \\ud83d\\ude00",unit=7)',
  "get_weather(city='x',exact=True,at=None)",
  "get_weather(city='x',exact=false,at=null)",
  "get_weather(city='x',at=-1.5e3)",
  'get_weather(city="x",more={"a": "b"})',
  "get_weather(city='x',more={'a':'b'})",
  'get_weather(日付="2026",city="x")',
  "stop-all.now()",
  "get_weathers(x=[1, {'a': None}])",
  "get_weathers()",
])("%s is a call that may be written, and is read as one", (call) => {
  expect(accepts(machine, fenced(call))).toBe(true);
  expect(accepts(machine, `${call}\n${callsEnd}`)).toBe(true);
  expect(parseCall(call)).toHaveProperty("arguments");
});

test.each([
  "get_weather()",
  "get_weather(days=[1])",
  'get_weather(city="Oslo",)',
  'get_weather(city="Oslo",city="Bergen")',
  'get_weather(city="Oslo",town="x")',
  'get_weather("Oslo")',
  "get_weather(city=7)",
  'get_weather(city="Oslo",days=[1.5])',
  'get_weather(city="Oslo",days=[1,])',
  'get_weather(city="Oslo",days=[1,2,3,4])',
  'get_weather(city="Oslo",days=[10])',
  'get_weather(city="Oslo",unit="kelvin")',
  'get_weather(city="Oslo",more={"b": 1})',
  "get_weather(city=None)",
  'get_weather(city="x",unit="celsi\\x75s")',
  'get_weather(city="a\nb")',
  'get_weather(city="\\x4")',
  'get_weather(city="\\U0001F600")',
  "get_weathers(x=12345678901234567890)",
  "get_weathers(x=1e999)",
  "get_weathers(x=NaN)",
  "other(x=1)",
  "get_weather",
  "import os",
  "",
])("%j is none", (call) => {
  expect(accepts(machine, fenced(call))).toBe(false);
});

test("in a string of a few no escape begins that cannot end", () => {
  const state = walk(machine, machine.start, 'get_weather(unit="celsi');
  expect(state && machine.next(state, 0x5c)).toBeUndefined();
  const quoted = walk(machine, machine.start, 'get_weather(unit="fahr');
  expect(quoted && machine.next(quoted, 0x5c)).toBeDefined();
});

test("several calls stand a line each, and as many as asked", () => {
  const calls = ["stop-all.now()", 'get_weather(city="x")'];
  expect(accepts(machine, fenced(...calls))).toBe(true);
  const one = pythonCallMachine(tools, { end: callsEnd, most: 1 });
  expect(accepts(one, fenced("stop-all.now()"))).toBe(true);
  expect(accepts(one, fenced(...calls))).toBe(false);
});

test("whatever may be written is calls that our parser reads and Ajv finds right", () => {
  const texts = wandered(machine, 11, 150);
  expect(texts.length).toBeGreaterThan(50);
  let read = 0;
  for (const text of texts) {
    const { statements, rest } = new StatementSplitter(callsEnd).push(text);
    expect(rest).toBe("");
    for (const statement of statements) {
      const call = parseCall(statement);
      if (call === undefined) continue;
      expectRight(statement, call);
      read++;
    }
  }
  expect(read).toBeGreaterThan(50);
});

test("a required parameter that Python cannot name makes a tool none", () => {
  const tool = { name: "f", parameters: { properties: { "a b": {} }, required: ["a b"] } };
  expect(() => pythonCallMachine([tool], { end: callsEnd })).toThrow(
    expect.objectContaining({
      code: "CONSTRAINT",
      what: "tool f",
      message: expect.stringContaining('"a b"'),
    }),
  );
});
