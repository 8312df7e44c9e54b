import { expect, test } from "vitest";
import { isMalformed } from "../../src/chat/call-format.ts";
import { jsonCalls } from "../../src/chat/json-calls.ts";
import { jsonCallMachine } from "../../src/constraint/json-call-machine.ts";
import { accepts } from "./made.ts";
import { expectRight, tools, wandered } from "./made-tools.ts";

const machine = jsonCallMachine(tools, jsonCalls);
const call = (name: string, given: string) => `\n{"name": "${name}", "arguments": ${given}}\n</tool_call>`;

function read(block: string) {
  const { found, rest } = jsonCalls.block(tools).push(block);
  return { found, rest };
}

test.each([
  call("get_weather", '{"city": "Oslo"}'),
  call("get_weather", '{"city":"Oslo","days":[1,-2],"unit":7}'),
  call("get_weather", '{"unit": "it\'s", "city": "a \\"b\\" </tool_call> [[", "exact": true, "at": null}'),
  call("get_weather", '{\n  "city": "Oslo",\n  "more": {"a": "b"}\n}'),
  call("get_weather", '{"日付": "2026", "city": "x", "at": -1.5e3}'),
  call("stop-all.now", "{}"),
  call("get_weathers", '{"x": [1, {"a": null}], "a b": 1}'),
  '{"name":"stop-all.now","arguments":{}}</tool_call>',
])("%j is a call that may be written, and is read as one", (block) => {
  expect(accepts(machine, block)).toBe(true);
  const { found, rest } = read(block);
  expect([found.map(isMalformed), rest]).toEqual([[false], ""]);
});

test.each([
  call("get_weather", "{}"),
  call("get_weather", '{"days": [1]}'),
  call("get_weather", '{"city": "Oslo",}'),
  call("get_weather", '{"city": "Oslo", "city": "Bergen"}'),
  call("get_weather", '{"city": "Oslo", "town": "x"}'),
  call("get_weather", '{"city": 7}'),
  call("get_weather", '{"city": "Oslo", "days": [1, 2, 3, 4]}'),
  call("get_weather", '{"city": "Oslo", "unit": "kelvin"}'),
  call("get_weather", '{"city": "Oslo", "more": {"b": 1}}'),
  call("get_weather", '["city"]'),
  call("stop-all.now", '{"x": 1}'),
  call("other", "{}"),
  '{"name": "stop-all.now"}</tool_call>',
  '{"arguments": {}, "name": "stop-all.now"}</tool_call>',
  `${call("stop-all.now", "{}")}${call("stop-all.now", "{}")}`,
  "",
])("%j is none", (block) => {
  expect(accepts(machine, block)).toBe(false);
});

test("whatever may be written is a call that our parser reads and Ajv finds right", () => {
  const blocks = wandered(machine, 12, 200);
  expect(blocks.length).toBeGreaterThan(50);
  for (const block of blocks) {
    const { found, rest } = read(block);
    expect([block, found.length, rest]).toEqual([block, 1, ""]);
    for (const one of found) expectRight(block, one);
  }
});
