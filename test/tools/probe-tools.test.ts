import fc from "fast-check";
import { expect, test } from "vitest";
import { schemaProblem } from "../../src/tools/json-schema.ts";
import { probeTools } from "../../src/tools/probe-tools.ts";
import { sampleValue } from "../../src/tools/sample-value.ts";
import type { Tool } from "../../src/tools/tool.ts";
import { textResult } from "../../src/tools/tool-result.ts";

const parameters = { type: "object", properties: { path: { type: "string" } }, required: ["path"] };
const tool = (name: string, more: Partial<Tool> = {}): Tool => ({
  name,
  parameters,
  readOnly: true,
  call: async ({ path }) => textResult(`no ${path}`, { isError: true }),
  ...more,
});

async function verdicts(tools: readonly Tool[], call: readonly string[] = []) {
  const found: Record<string, string> = {};
  const options = { timeoutMs: 50, signal: new AbortController().signal, call };
  for await (const { tool: name, verdict } of probeTools(tools, options)) found[name] = verdict;
  return found;
}

test("tools that tell a result or an error answer; those that hang, break or say nothing do not", async () => {
  const tools = [
    tool("told"),
    tool("hangs", { call: () => new Promise(() => {}) }),
    tool("breaks", { call: () => Promise.reject(new Error("gone")) }),
    tool("empty", { call: async () => ({ content: [] }) }),
  ];
  expect(await verdicts(tools)).toEqual({
    told: "answers",
    hangs: "silent",
    breaks: "silent",
    empty: "silent",
  });
});

test("a tool that does not say it changes nothing is called only when it is named", async () => {
  const { readOnly: _, ...writes } = tool("writes");
  expect(await verdicts([writes])).toEqual({ writes: "skipped" });
  expect(await verdicts([writes], ["writes"])).toEqual({ writes: "answers" });
});

test("one whose schema allows nothing that can be made up is skipped", async () => {
  const odd = { ...parameters, properties: { path: { type: "string", pattern: "^[A-Z]{9}$" } } };
  expect(await verdicts([tool("odd", { parameters: odd })])).toEqual({ odd: "skipped" });
});

test.each([
  [
    {
      type: "object",
      properties: { a: { $ref: "#/$defs/b" } },
      required: ["a"],
      $defs: { b: { type: "integer" } },
    },
    { a: 1 },
  ],
  [{ type: "array", items: { enum: ["x", "y"] }, minItems: 2 }, ["x", "x"]],
  [{ type: "number", minimum: 0.5, multipleOf: 0.25 }, 1],
  [{ type: "integer", exclusiveMinimum: 10 }, 11],
  [{ type: "integer", maximum: -3 }, -3],
  [{ type: "string", format: "date", minLength: 5 }, "2026-01-01"],
  [{ type: "string", minLength: 6 }, "testxx"],
  [
    { anyOf: [{ type: "object", required: ["k"], properties: { k: { const: 4 } } }, { type: "null" }] },
    { k: 4 },
  ],
  [
    { allOf: [{ type: "object" }, { required: ["k"] }], properties: { k: { type: "boolean" } } },
    { k: false },
  ],
  [{ type: ["null", "string"] }, null],
])("a sample of %j is %j", (schema, value) => {
  expect(sampleValue(schema)).toEqual(value);
});

test("whatever the schema, a sample is one that it allows, or none", () => {
  const schema = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.record({ type: fc.constantFrom("string", "integer", "boolean", "null", "number") }),
      fc.record({ type: fc.constant("array"), items: tie("any"), minItems: fc.nat(3) }),
      fc.record({
        type: fc.constant("object"),
        properties: fc.dictionary(fc.constantFrom("a", "b"), tie("any")),
        required: fc.constant(["a"]),
      }),
      fc.record({ $ref: fc.constantFrom("#", "#/nowhere", "https://example.com/x") }),
      fc.record({ anyOf: fc.array(tie("any"), { maxLength: 2 }) }),
    ),
  })).any;
  fc.assert(
    fc.property(schema, (given) => {
      const value = sampleValue(given as never);
      expect(value === undefined || schemaProblem(given as never, value) === undefined).toBe(true);
    }),
    { seed: 3, numRuns: 200 },
  );
});
