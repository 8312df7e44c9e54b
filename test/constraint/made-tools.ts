/** Tools whose parameters are of every kind, for the tests of the forms of calls. */
import { expect } from "vitest";
import { type FoundCall, isMalformed } from "../../src/chat/call-format.ts";
import type { AnyMachine } from "../../src/constraint/byte-machine.ts";
import { checkOf } from "../../src/constraint/json-schema.ts";
import { randomNumbers } from "../random-numbers.ts";
import { wander } from "./made.ts";

const parameters = {
  type: "object",
  properties: {
    city: { type: "string" },
    days: { type: "array", items: { type: "integer", minimum: -9, maximum: 9 }, maxItems: 3 },
    unit: { enum: ["celsius", 'fahr"enheit', "it's", 7] },
    exact: { type: "boolean" },
    at: { anyOf: [{ type: "null" }, { type: "number" }] },
    more: {
      type: "object",
      properties: { a: { type: "string", maxLength: 5 } },
      additionalProperties: false,
    },
    日付: { type: "string", format: "date", pattern: "^\\d" },
  },
  required: ["city"],
};

export const weather = {
  name: "get_weather",
  parameters,
  /** What of the schema is kept while a call is made. */
  kept: { ...parameters, properties: { ...parameters.properties, 日付: { type: "string" } } },
};

export const tools = [
  weather,
  { name: "stop-all.now" },
  { name: "get_weathers", parameters: { properties: { x: { type: ["array", "number"] }, "a b": {} } } },
];

/** Blocks of calls to `tools` that `machine` may write, of `count` beginnings those that came to an end. */
export function wandered(machine: AnyMachine, seed: number, count: number): readonly string[] {
  const random = randomNumbers(seed);
  const blocks = Array.from({ length: count }, () => wander(machine, random, 900));
  return blocks.filter((text) => text !== undefined);
}

const checks = new Map(tools.map(({ name, parameters = {} }) => [name, checkOf(parameters)]));
checks.set("get_weather", checkOf(weather.kept)); // patterns are checked by who makes the call

/** The call that `text` was read as is one, of a tool that there is, with arguments that Ajv finds right. */
export function expectRight(text: string, call: FoundCall): void {
  expect([text, isMalformed(call)]).toEqual([text, false]);
  if (isMalformed(call)) return;
  expect([text, checks.get(call.name)?.(call.arguments)]).toEqual([text, undefined]);
}
