import { expect, test } from "vitest";
import { z } from "zod";
import { defineTool } from "../../src/tools/define-tool.ts";

const context = { signal: new AbortController().signal, onProgress: () => {} };

test("a zod schema becomes JSON Schema for the model, and types and defaults for the function", async () => {
  const tool = defineTool({
    name: "greet",
    description: "Greets.",
    input: z.object({ name: z.string().describe("Whom."), times: z.number().int().default(2) }),
    run: ({ name, times }) => name.repeat(times),
  });
  expect(tool.parameters).toMatchObject({
    type: "object",
    properties: { name: { type: "string", description: "Whom." }, times: { type: "integer", default: 2 } },
    required: ["name"],
  });
  expect(await tool.call({ name: "A" }, context)).toEqual({ content: [{ type: "text", text: "AA" }] });
});

test("values are told as JSON, ToolResults as they are, nothing as done", async () => {
  const give = (value: unknown) =>
    defineTool({ name: "f", description: "", input: { type: "object" }, run: () => value }).call({}, context);
  expect(await give({ a: [1] })).toEqual({
    content: [{ type: "text", text: '{"a":[1]}' }],
    structured: { a: [1] },
  });
  const image = { content: [{ type: "image", data: "AAAA", mimeType: "image/png" }] };
  expect(await give(image)).toEqual(image);
  expect((await give(undefined)).content).toEqual([{ type: "text", text: "done" }]);
});

test("a result that the output schema does not allow is an error", async () => {
  const tool = defineTool({
    name: "f",
    description: "",
    input: { type: "object" },
    output: { type: "number" },
    run: () => "text",
  });
  await expect(tool.call({}, context)).rejects.toThrow(
    "its result is not what it should be: it must be number",
  );
});

test.each([
  ["a name with spaces", { name: "a b", input: { type: "object" } }],
  ["an input that is no object's schema", { name: "a", input: { type: "string" } }],
  ["a schema that is none", { name: "a", input: { type: "object", properties: 1 } }],
])("%s is an OptionError", (_what, { name, input }) => {
  expect(() => defineTool({ name, description: "", input, run: () => "" })).toThrow(
    expect.objectContaining({ code: "OPTION" }),
  );
});
