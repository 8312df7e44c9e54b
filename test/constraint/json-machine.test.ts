import { expect, test } from "vitest";
import { walk } from "../../src/constraint/byte-machine.ts";
import { jsonAnswer, jsonMachine } from "../../src/constraint/json-machine.ts";
import { checkOf, jsonSchemaOf } from "../../src/constraint/json-schema.ts";
import { randomNumbers } from "../random-numbers.ts";
import { accepts, wander } from "./made.ts";

const person = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 20 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    tags: { type: "array", items: { enum: ["a", "b", null, 3] }, maxItems: 3 },
    home: {
      anyOf: [{ type: "null" }, { type: "object", properties: { x: { type: "number" } }, required: ["x"] }],
    },
  },
  required: ["name", "age"],
  additionalProperties: false,
};

test.each([
  '{"name": "Ada", "age": 36}',
  ' {"age":0,"name":"\\u00e9\\n","tags":["a",null,3],"home":{"x":-1.5e3}}',
  '{\n  "name": "Ada",\n  "age": 36,\n  "home": null\n}',
])("%j is of the schema", (text) => {
  expect(accepts(jsonAnswer(person), text)).toBe(true);
});

test.each([
  '{"name": "Ada"}',
  '{"name": "", "age": 1}',
  '{"name": "Ada", "age": 151}',
  '{"name": "Ada", "age": 1.5}',
  '{"name": "Ada", "age": 1, "more": 2}',
  '{"name": "Ada", "age": 1, "name": "Bob"}',
  '{"name": "Ada", "age": 1,}',
  '{"name": "Ada", "age": 1, "tags": ["a",]}',
  '{"name": "Ada", "age": 1, "tags": ["c"]}',
  `{"name": "Ada", ${" ".repeat(60)}"age": 1}`,
  '{"name": "Ada",\n\n"age": 1}',
])("%j is not", (text) => {
  expect(accepts(jsonAnswer(person), text)).toBe(false);
});

test("whatever may be written is JSON that Ajv finds of the schema", () => {
  const machine = jsonAnswer(person);
  const check = checkOf(person);
  const random = randomNumbers(7);
  const texts = Array.from({ length: 150 }, () => wander(machine, random)).filter(
    (text) => text !== undefined,
  );
  expect(texts.length).toBeGreaterThan(20);
  for (const text of texts) expect([text, check(JSON.parse(text))]).toEqual([text, undefined]);
});

test("a string is UTF-8 at every byte", () => {
  const machine = jsonMachine({ type: "string" });
  const dead = (...bytes: number[]) => {
    let state: ReturnType<typeof machine.next> = machine.start;
    for (const byte of [0x22, ...bytes]) state = state && machine.next(state, byte);
    return state === undefined;
  };
  expect(dead(0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80)).toBe(false);
  const bad = [
    [0x80],
    [0xc3, 0x61],
    [0xe0, 0x80],
    [0xed, 0xa0],
    [0xf0, 0x80],
    [0xf4, 0x90],
    [0xff],
    [0xc0],
    [0xd0, 0x5c],
  ];
  for (const bytes of bad) expect([bytes, dead(...bytes)]).toEqual([bytes, true]);
});

test.each([
  ["\\ud83d\\ude00", true],
  ["\\ud83d", true],
  ["\\ud83d\\u0", false],
  ["\\ud83d\\ud8", false],
  ["\\ude", false],
  ["\\ud7ff", true],
])("halves of characters stand together: %s can go on: %j", (text, possible) => {
  const machine = jsonMachine({ type: "string" });
  expect(walk(machine, machine.start, `"${text}`) !== undefined).toBe(possible);
});

test("an object is done with its last brace, a number only with what follows it", () => {
  const object = jsonAnswer({ type: "object" });
  const braces = object.next(object.next(object.start, 0x7b) as never, 0x7d) as never;
  expect([object.isWhole(braces), object.isDone(braces)]).toEqual([true, true]);
  const number = jsonAnswer({ type: "integer" });
  const one = number.next(number.start, 0x31) as never;
  expect([number.isWhole(one), number.isDone(one)]).toEqual([true, false]);
});

const circular: Record<string, unknown> = { type: "object" };
circular.properties = { self: circular };
let deep: object = { type: "string" };
for (let depth = 0; depth < 10_000; depth++) deep = { items: deep };

test.each([
  ["pattern", { type: "string", pattern: "^a+$" }],
  ["format", { type: "string", format: "email" }],
  ["unevaluatedProperties", { type: "object", unevaluatedProperties: false }],
  ["no type", { type: "nothing" }],
  ["a reference to nowhere", { $ref: "#/$defs/none" }],
  ["a reference to elsewhere", { $ref: "https://example.com/schema" }],
  ["an object that holds itself", circular],
  ["a depth of ten thousand", deep],
  ["two megabytes", { enum: ["x".repeat(2 << 20)] }],
  ["a pattern that backtracks", { type: "object", patternProperties: { "^(a+)+$": { type: "string" } } }],
  ["a list", []],
  ["a text", "string"],
  ["null", null],
])("a schema with %s is refused", (_, schema) => {
  expect(() => jsonMachine(jsonSchemaOf(schema))).toThrow(
    expect.objectContaining({ code: "CONSTRAINT", message: expect.stringMatching(/schema/) }),
  );
});

test("a schema that refers to itself by name holds trees", () => {
  const tree = {
    type: "object",
    properties: { kids: { type: "array", items: { $ref: "#" } } },
    additionalProperties: false,
  };
  expect(accepts(jsonAnswer(tree), '{"kids":[{"kids":[]},{}]}')).toBe(true);
  expect(accepts(jsonAnswer(tree), '{"kids":[{"kids":[1]}]}')).toBe(false);
});

test.each([
  ['"c', { enum: ["c\\d", "e\nf"] }, "\\", true],
  ['"e', { enum: ["c\\d", "e\nf"] }, "\\", true],
  ['"é', { enum: ["é日本"] }, "\\", false],
  ["", { const: true }, "f", false],
  ["", { anyOf: [{ const: true }, { type: "string" }] }, "f", false],
  ["", { anyOf: [{ const: true }, { type: "string" }] }, "t", true],
  ["4", { anyOf: [{ type: "integer" }, { type: "null" }] }, "e", false],
])("behind %j under %j, %j may follow: %j", (begun, schema, next, may) => {
  const machine = jsonMachine(schema);
  const state = walk(machine, machine.start, begun);
  expect(state && machine.next(state, next.charCodeAt(0)) !== undefined).toBe(may);
});
