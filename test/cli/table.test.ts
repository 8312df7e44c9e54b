import { expect, test } from "vitest";
import { tableLines } from "../../src/cli/table.ts";

test("columns line up by cells, numbers on the right, without spaces at the end", () => {
  const rows = [
    ["7", "你好", "x"],
    ["1234", "a", ""],
  ];
  expect(tableLines(rows, ["right"])).toEqual(["   7  你好  x", "1234  a"]);
});
