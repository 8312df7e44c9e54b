import fc from "fast-check";
import { expect, test } from "vitest";
import { type CallFormat, callFormatOf } from "../../src/chat/call-format.ts";
import { jsonCalls } from "../../src/chat/json-calls.ts";
import { pythonCalls } from "../../src/chat/python-calls.ts";
import { Reply } from "../../src/chat/reply.ts";
import { xmlCalls } from "../../src/chat/xml-calls.ts";

const weather = {
  name: "get_weather",
  parameters: {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "array" }, metric: { type: "boolean" } },
  },
};

/** What a reply makes of a text that comes `size` characters at a time. */
function read(text: string, calls: CallFormat, size = 1) {
  const characters = [...text];
  const decoder = () => ({ push: (token: number) => characters[token] ?? "", end: () => "" });
  const options = { decoder, stopTokens: new Set<number>(), stop: [], calls, tools: [weather] };
  const reply = new Reply(options);
  for (let at = 0; at < characters.length; at += size) {
    const length = Math.min(size, characters.length - at);
    reply.push({ tokens: Int32Array.from({ length }, (_, index) => at + index) });
  }
  reply.end();
  return { text: reply.text, calls: reply.calls, malformed: reply.malformedCalls, thinking: reply.thinking };
}

test("the tags in a chat template say how its model writes calls", () => {
  expect(callFormatOf("...<|tool_call_start|>...<tool_call>")).toBe(pythonCalls);
  expect(callFormatOf('{{ "<tool_call>" }}')).toBe(jsonCalls);
  expect(callFormatOf('<function name="{{ f.name }}">')).toBe(xmlCalls);
  expect(callFormatOf("{{ messages }}")).toBe(pythonCalls);
});

test("Qwen's calls are read, one a block, with text around them", () => {
  const said =
    '<think>\nBoth.\n</think>\n\nI look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "</tool_call> Oslo"}}\n</tool_call>\n' +
    '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>';
  const { text, calls, thinking } = read(said, jsonCalls);
  expect(calls).toEqual([
    { name: "get_weather", arguments: { city: "</tool_call> Oslo" } },
    { name: "now", arguments: {} },
  ]);
  expect([text, thinking]).toEqual(["I look.", "Both."]);
});

test("arguments may be spelled as a text of JSON, or be called parameters", () => {
  const spelled = '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>';
  expect(read(spelled, jsonCalls).calls).toEqual([{ name: "f", arguments: { a: 1 } }]);
  const other = '<tool_call>{"name": "f", "parameters": {"a": 1}}</tool_call>';
  expect(read(other, jsonCalls).calls).toEqual([{ name: "f", arguments: { a: 1 } }]);
});

test("brackets in a text are none of the call's", () => {
  const said = `<tool_call>{"name": "f", "arguments": {"a": "\\"${"[".repeat(80)}"}}</tool_call>`;
  expect(read(said, jsonCalls).calls).toHaveLength(1);
});

test.each([
  ["{", /no JSON/],
  ["[1]", /no object/],
  ['{"arguments": {}}', /no "name"/],
  ['{"name": "f", "arguments": [1]}', /"arguments" are no object/],
  [`{"name": "f", "arguments": ${'{"a":'.repeat(80)}1${"}".repeat(80)}}`, /more than 64/],
  ['{"name": "f}', /no JSON/],
])("in Qwen's form, %s is no call", (block, reason) => {
  const { calls, malformed } = read(`<tool_call>${block}</tool_call>`, jsonCalls);
  expect(calls).toEqual([]);
  expect(malformed).toHaveLength(1);
  expect(malformed[0]?.reason).toMatch(reason);
});

test("MiniCPM5's calls are read, values typed by the schema of what was offered", () => {
  const said =
    '<think>Look.</think>I look.\n<function name="get_weather"><param name="city">12</param>\n' +
    '<param name="days">[1, 2]</param><param name="metric">True</param></function>\n<function name=\'now\'></function>';
  const { text, calls } = read(said, xmlCalls);
  expect(calls).toEqual([
    { name: "get_weather", arguments: { city: "12", days: [1, 2], metric: true } },
    { name: "now", arguments: {} },
  ]);
  expect(text).toBe("I look.");
});

test("in MiniCPM5's form CDATA holds anything, and entities are resolved outside of it", () => {
  const inside = "if (a < b) </param></function> &lt;";
  const said = `<function name="get_weather"><param name="city"><![CDATA[${inside}]]></param></function>`;
  expect(read(said, xmlCalls).calls).toEqual([{ name: "get_weather", arguments: { city: inside } }]);
  const entities = '<function name="f"><param name="a">1 &lt; 2 &amp;&amp; x</param></function>';
  expect(read(entities, xmlCalls).calls).toEqual([{ name: "f", arguments: { a: "1 < 2 && x" } }]);
});

test.each([
  ['"f"><param name="a">1</function>', /<\/param> is missing/],
  ["f></function>", /name is missing/],
  ['"f">text</function>', /more than parameters/],
  ['"f"><param name="a">1</param><param name="a">2</param></function>', /given twice/],
  ['"f"><param name="a">1</param>', /<\/function> is missing/],
])("in MiniCPM5's form, <function name=%s is no call, and stays in the text", (block, reason) => {
  const { calls, malformed, text } = read(`<function name=${block}`, xmlCalls);
  expect(calls).toEqual([]);
  expect(malformed[0]?.reason).toMatch(reason);
  expect(text).toBe(`<function name=${block}`);
});

const piece = fc.oneof(
  fc.constantFrom(
    "<tool_call>",
    "</tool_call>",
    "<function name=",
    "</function>",
    '"f">',
    '<param name="a">',
  ),
  fc.constantFrom(
    "</param>",
    "<![CDATA[",
    "]]>",
    '{"name": "f", "arguments": {',
    "}}",
    '"',
    "\\",
    "\n",
    "<think>",
  ),
  fc.constantFrom("<|tool_call_start|>", "<|tool_call_end|>", "f(a=", ")", "</think>", " ", "<"),
  fc.string({ maxLength: 3 }),
);

test.each([pythonCalls, jsonCalls, xmlCalls])(
  "whatever a model writes in the $name form, reading never throws and pieces make no difference",
  (format) => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), fc.integer({ min: 2, max: 9 }), (pieces, size) => {
        const text = pieces.join("");
        const whole = read(text, format, text.length + 1);
        expect(read(text, format, 1)).toEqual(whole);
        expect(read(text, format, size)).toEqual(whole);
      }),
      { seed: 8, numRuns: 400 },
    );
  },
);
