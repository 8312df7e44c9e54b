import { expect, test } from "vitest";
import { checkCalls, checkTools, type ToolDefinition } from "../../src/tools/tool.ts";

const optionError = (option: string) => expect.objectContaining({ code: "OPTION", option });

test("names have letters of any script, digits, dashes, dots; a description and parameters may be missing", () => {
  const parameters = { type: "object", properties: { a: { type: "array" } } };
  expect(() => checkTools([])).not.toThrow();
  expect(() =>
    checkTools([{ name: "a" }, { name: "3d-render.v2" }, { name: "größe", parameters }]),
  ).not.toThrow();
  expect(() => checkTools([{ name: "a", parameters: {} }])).not.toThrow();
});

test.each([
  [5, "tools"],
  [[null], "tools[0]"],
  [[{ type: "function", function: { name: "a" } }], "tools[0].name"],
  [[{ name: "" }], "tools[0].name"],
  [[{ name: "a b" }], "tools[0].name"],
  [[{ name: "a" }, { name: "a" }], "tools[1].name"],
  [[{ name: "a", description: 5 }], "tools[0].description"],
  [[{ name: "a", parameters: [] }], "tools[0].parameters"],
  [[{ name: "a", parameters: { type: "string" } }], "tools[0].parameters"],
])("%j are no tools, naming %s", (tools, option) => {
  expect(() => checkTools(tools as ToolDefinition[])).toThrowError(optionError(option));
});

test.each([
  ["f()", "calls"],
  [[{ name: "f" }], "calls[0].arguments"],
  [[{ name: "f", arguments: "{}" }], "calls[0].arguments"],
  [[{ name: "f", arguments: {}, id: 5 }], "calls[0].id"],
  [[{ arguments: {} }], "calls[0].name"],
])("%j are no calls, naming %s", (calls, option) => {
  expect(() => checkCalls(calls, "calls")).toThrowError(optionError(option));
});
