/** Schemas and tools as anyone may have made them, and texts that models may write under them. */

import { isMalformed } from "../../src/chat/call-format.ts";
import { jsonCalls } from "../../src/chat/json-calls.ts";
import { callsEnd, parseCall, StatementSplitter } from "../../src/chat/python-calls.ts";
import { xmlCalls } from "../../src/chat/xml-calls.ts";
import type { AnyMachine } from "../../src/constraint/byte-machine.ts";
import { jsonCallMachine } from "../../src/constraint/json-call-machine.ts";
import { jsonAnswer } from "../../src/constraint/json-machine.ts";
import { checkOf, jsonSchemaOf } from "../../src/constraint/json-schema.ts";
import { pythonCallMachine } from "../../src/constraint/python-call-machine.ts";
import { xmlCallMachine } from "../../src/constraint/xml-call-machine.ts";
import { inMemory } from "../../src/model/byte-source.ts";
import { readJson } from "../../src/model/json-fields.ts";
import type { Target } from "./fuzzer.ts";

const schema = {
  type: "object",
  properties: {
    a: { type: "string", maxLength: 4 },
    b: {
      anyOf: [
        { type: "integer", minimum: -5 },
        { type: "array", items: { $ref: "#/properties/a" } },
      ],
    },
    c: { enum: ["x", 1.5, null, true] },
  },
  required: ["a"],
  patternProperties: { "^z": { type: "boolean" } },
};

const tool = {
  name: "get-it",
  parameters: { ...schema, patternProperties: {}, additionalProperties: false },
};
const calls = pythonCallMachine([tool, { name: "log.add" }], { end: callsEnd });
const checkCall = checkOf(tool.parameters);
const forms = [
  { format: jsonCalls, machine: jsonCallMachine([tool, { name: "log.add" }], jsonCalls) },
  { format: xmlCalls, machine: xmlCallMachine([tool, { name: "log.add" }], xmlCalls) },
];

export const constraintTargets: readonly Target[] = [
  {
    name: "schema",
    seeds: [json(schema), json({ oneOf: [{ const: 7 }, { not: { type: "number" } }], $defs: { t: true } })],
    parse: (bytes) => {
      const given = jsonSchemaOf(readJson(inMemory("fuzz", bytes)));
      checkOf(given);
      return longest(
        jsonAnswer(given),
        Buffer.from('{"a": "b\\u00e9", "b": [1.5e3, {}], "zed": true, "c": null}'),
      );
    },
  },
  {
    name: "tool",
    seeds: [
      json(schema),
      json({ properties: { q: { type: ["string", "null"], format: "uri", nullable: true } } }),
    ],
    parse: (bytes) => {
      const given = jsonSchemaOf(readJson(inMemory("fuzz", bytes)));
      const parameters = typeof given === "boolean" ? {} : given;
      const machine = pythonCallMachine([{ name: "f", parameters }], { end: callsEnd });
      return longest(machine, Buffer.from("f(a=\"b\", b=[1, 'x'],c=None)\n"));
    },
  },
  ...forms.map(({ format, machine }) => ({
    // What the machine lets through, our parser reads and the schema allows.
    name: `constrained-${format.name}-calls`,
    seeds: [
      Buffer.from(
        '\n{"name": "get-it", "arguments": {"a": "b\\u0041", "b": [1, "x"], "c": null}}\n</tool_call>',
      ),
      Buffer.from('{"name":"log.add","arguments":{}}</tool_call>'),
      Buffer.from('"get-it"><param name="a">&lt;b</param> <param name="b">[1, "x"]</param></function>'),
      Buffer.from('"get-it"><param name="c">x</param><param name="a">b</param></function>'),
    ],
    parse: (bytes: Buffer) => {
      const taken = longest(machine, bytes);
      if (!taken.whole) return taken.length;
      const { found } = format.block([tool]).push(Buffer.from(bytes).toString("utf8"));
      for (const call of found) {
        const problem = isMalformed(call) ? call.reason : call.name === "get-it" && checkCall(call.arguments);
        if (problem) throw new Error(`${bytes} was let through: ${problem}`);
      }
      return found;
    },
  })),
  {
    // What the machine lets through, our parser reads and the schema allows.
    name: "constrained-calls",
    seeds: [
      Buffer.from(`\n\`\`\`python\nget-it(a="b\\x41",b=[1, "x"],c=None)\nlog.add()\n\`\`\`\n${callsEnd}`),
      Buffer.from(`get-it(c=1.5,a='"\\'\\u00e9\\d',b=-5)\n${callsEnd}`),
    ],
    parse: (bytes) => {
      const taken = longest(calls, bytes);
      if (!taken.whole) return taken.length;
      const { statements } = new StatementSplitter(callsEnd).push(Buffer.from(bytes).toString("utf8"));
      for (const statement of statements) {
        const call = parseCall(statement);
        if (call === undefined) continue;
        const problem = isMalformed(call) ? call.reason : call.name === "get-it" && checkCall(call.arguments);
        if (problem) throw new Error(`${statement} was let through: ${problem}`);
      }
      return statements;
    },
  },
];

/** How far the machine follows. */
function longest(
  machine: AnyMachine,
  bytes: Uint8Array,
): { readonly length: number; readonly whole: boolean } {
  let state = machine.start;
  for (const [length, byte] of bytes.entries()) {
    const next = machine.next(state, byte);
    if (next === undefined) return { length, whole: false };
    state = next;
    machine.key?.(state);
  }
  return { length: bytes.length, whole: machine.isWhole(state) };
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
