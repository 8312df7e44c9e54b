import { expect, test } from "vitest";
import { xmlCalls } from "../../src/chat/xml-calls.ts";
import { walk } from "../../src/constraint/byte-machine.ts";
import { xmlCallMachine } from "../../src/constraint/xml-call-machine.ts";
import { accepts } from "./made.ts";
import { expectRight, tools, wandered } from "./made-tools.ts";

const machine = xmlCallMachine(tools, xmlCalls);

function call(name: string, ...given: (readonly [name: string, value: string])[]): string {
  const parameters = given.map(([parameter, value]) => `<param name="${parameter}">${value}</param>`);
  return `"${name}">${parameters.join("")}</function>`;
}

const city = ["city", "Oslo"] as const;

test.each([
  [call("get_weather", city), { city: "Oslo" }],
  [call("get_weather", ["city", ""]), { city: "" }],
  [
    call("get_weather", city, ["days", "[1, -2]"], ["exact", "true"]),
    { city: "Oslo", days: [1, -2], exact: true },
  ],
  [call("get_weather", ["city", '12 "a" \\d, it\'s\n日本']), { city: '12 "a" \\d, it\'s\n日本' }],
  [call("get_weather", ["city", "a &lt;b&gt; &amp;amp; &quot;"]), { city: 'a <b> &amp; "' }],
  [call("get_weather", city, ["unit", "it's"]), { city: "Oslo", unit: "it's" }],
  [call("get_weather", city, ["unit", "fahr&quot;enheit"]), { city: "Oslo", unit: 'fahr"enheit' }],
  [call("get_weather", city, ["at", "-1.5e3"]), { city: "Oslo", at: -1500 }],
  [call("get_weather", city, ["at", "null"]), { city: "Oslo", at: null }],
  [call("get_weather", city, ["more", '{"a": "&lt;b"}']), { city: "Oslo", more: { a: "<b" } }],
  [call("get_weather", ["日付", "2026"], city), { 日付: "2026", city: "Oslo" }],
  [call("get_weathers", ["x", '[1, {"a": null}]'], ["a b", "1"]), { x: [1, { a: null }], "a b": "1" }],
  [`"stop-all.now">\n</function>`, {}],
])("%j is a call that may be written, and is read as one", (block, given) => {
  expect(accepts(machine, block)).toBe(true);
  const { found, rest } = xmlCalls.block(tools).push(block);
  expect([found, rest]).toEqual([[{ name: /[\w.-]+/.exec(block)?.[0], arguments: given }], ""]);
});

test.each([
  call("get_weather"),
  call("get_weather", ["days", "[1]"]),
  call("get_weather", city, city),
  call("get_weather", city, ["town", "x"]),
  call("get_weather", ["city", " Oslo"]),
  call("get_weather", ["city", "Oslo "]),
  call("get_weather", ["city", "a & b"]),
  call("get_weather", ["city", "a < b"]),
  call("get_weather", ["city", "<![CDATA[a]]>"]),
  call("get_weather", city, ["days", "[1, 2, 3, 4]"]),
  call("get_weather", city, ["days", "[1], 2"]),
  call("get_weather", city, ["days", '[1], "unit": 7']),
  call("get_weather", city, ["days", ""]),
  call("get_weather", city, ["unit", "kelvin"]),
  call("get_weather", city, ["unit", "7"]),
  call("get_weather", city, ["more", "{}}"]),
  call("get_weather", city, ["exact", "True"]),
  call("stop-all.now", ["x", "1"]),
  call("other"),
  '"get_weather"><param name="city">Oslo</function>',
  "",
])("%j is none", (block) => {
  expect(accepts(machine, block)).toBe(false);
});

test("a text that has to be short ends in no space that could not be followed", () => {
  const parameters = { properties: { a: { type: "string", maxLength: 3 } } };
  const short = xmlCallMachine([{ name: "f", parameters }], xmlCalls);
  const before = walk(short, short.start, '"f"><param name="a">ab');
  expect(before && short.next(before, 0x20)).toBeUndefined();
  expect(accepts(short, call("f", ["a", "a b"]))).toBe(true);
  expect(accepts(short, call("f", ["a", "ab&amp;"]))).toBe(true);
  expect(accepts(short, call("f", ["a", "abc&amp;"]))).toBe(false);
});

test("a required parameter that is read as a text and is none makes a tool none", () => {
  const parameters = {
    properties: { n: { $ref: "#/$defs/n" } },
    $defs: { n: { type: "integer" } },
    required: ["n"],
  };
  expect(() => xmlCallMachine([{ name: "f", parameters }], xmlCalls)).toThrow(
    expect.objectContaining({ code: "CONSTRAINT", message: expect.stringContaining("tool f") }),
  );
  const named = { properties: { "a<b": {} }, required: ["a<b"] };
  expect(() => xmlCallMachine([{ name: "f", parameters: named }], xmlCalls)).toThrow(/no call can name.*a<b/);
});

test("whatever may be written is a call that our parser reads and Ajv finds right", () => {
  const blocks = wandered(machine, 13, 200);
  expect(blocks.length).toBeGreaterThan(50);
  for (const block of blocks) {
    const { found, rest } = xmlCalls.block(tools).push(block);
    expect([block, found.length, rest]).toEqual([block, 1, ""]);
    for (const one of found) expectRight(block, one);
  }
});
