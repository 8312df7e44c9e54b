import { expect, test } from "vitest";
import { bestMatches, selectTools } from "../../src/tools/tool-selection.ts";

const tools = [
  { name: "readTextFile", description: "Reads a file." },
  { name: "add", description: "Adds two numbers." },
  { name: "get_weather", description: "The weather of a city. 查询天气" },
  { name: "echo", description: "Says it again." },
];
const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);
const sizeOf = () => 10;

test("words in names count, however they are joined, and Chinese is found by character", () => {
  expect(names(bestMatches(tools, "please read notes.txt"))[0]).toBe("readTextFile");
  expect(names(bestMatches(tools, "今天的天气怎么样"))[0]).toBe("get_weather");
});

test("tools that fit are all told", () => {
  expect(selectTools(tools, { query: "weather", budget: 40, sizeOf })).toBe(tools);
});

test("of more, the best matches are, in their own order", () => {
  const select = (query: string, budget: number) => names(selectTools(tools, { query, budget, sizeOf }));
  expect(select("the weather", 10)).toEqual(["get_weather"]);
  expect(select("add the weather", 20)).toEqual(["add", "get_weather"]);
  expect(select("", 20)).toEqual(["readTextFile", "add"]);
});

test("one is told even where none fits, and those to keep come before better matches", () => {
  const keep = new Set(["echo"]);
  expect(names(selectTools(tools, { query: "weather", budget: 1, sizeOf }))).toEqual(["get_weather"]);
  expect(names(selectTools(tools, { query: "weather", budget: 10, sizeOf, keep }))).toEqual(["echo"]);
});
