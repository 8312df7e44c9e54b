import { expect, test } from "vitest";
import { makeCall } from "../../src/tools/make-call.ts";
import type { Tool } from "../../src/tools/tool.ts";
import { textResult } from "../../src/tools/tool-result.ts";

const echo: Tool = {
  name: "echo",
  server: "box",
  parameters: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
  call: async ({ text }) => textResult(String(text)),
};
const options = { tools: [echo], timeoutMs: 1000, signal: new AbortController().signal };

test("a call that its schema allows is made", async () => {
  const run = await makeCall({ name: "echo", arguments: { text: "hi" } }, options);
  expect(run).toMatchObject({ outcome: "done", text: "hi", server: "box" });
  expect(run.durationMs).toBeGreaterThan(0);
});

test.each([
  [{}, "it must have required property 'text'"],
  [{ text: 1 }, "/text must be string"],
])("arguments %j are told to be wrong, and nobody is asked about them", async (given, problem) => {
  const approve = () => expect.unreachable();
  const run = await makeCall({ name: "echo", arguments: given }, { ...options, approve });
  expect(run).toMatchObject({
    outcome: "invalid",
    text: `Error: the arguments of echo are wrong: ${problem}.`,
  });
});

test("a schema that cannot be compiled leaves the arguments to the tool", async () => {
  const odd: Tool = { ...echo, parameters: { type: "object", properties: { a: { $ref: "nowhere" } } } };
  const run = await makeCall({ name: "echo", arguments: { text: "hi" } }, { ...options, tools: [odd] });
  expect(run.outcome).toBe("done");
});

test("two tools may give one $id to different schemas", async () => {
  const withId = (type: string): Tool => ({
    ...echo,
    name: type,
    parameters: { $id: "https://example.com/a", type: "object", properties: { text: { type } } },
  });
  const tools = [withId("string"), withId("number")];
  const outcomes = tools.map(({ name }) =>
    makeCall({ name, arguments: { text: 1 } }, { ...options, tools }).then(({ outcome }) => outcome),
  );
  expect(await Promise.all(outcomes)).toEqual(["invalid", "done"]);
});

test("a failed result is told with its reason", async () => {
  const fail: Tool = { ...echo, call: async () => textResult("no such file", { isError: true }) };
  const run = await makeCall({ name: "echo", arguments: { text: "" } }, { ...options, tools: [fail] });
  expect(run).toMatchObject({ outcome: "error", text: "Error: no such file" });
});
