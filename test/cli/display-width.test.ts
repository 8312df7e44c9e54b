import { expect, test } from "vitest";
import { displayWidth, fitWidth, padWidth, padWidthStart } from "../../src/cli/display-width.ts";

test.each([
  ["", 0],
  ["hello", 5],
  ["你好", 4],
  ["ｶﾀｶﾅ", 4],
  ["カタカナ", 8],
  ["한국어", 6],
  ["é", 1],
  ["e\u0301", 1],
  ["👍", 2],
  ["👨‍👩‍👧", 2],
  ["🇫🇷", 2],
  ["❤\ufe0f", 2],
  ["Ａ", 2],
  ["、。", 4],
  ["a\u200bb", 2],
  ["▁H", 2],
])("%j takes %i cells", (text, cells) => {
  expect(displayWidth(text)).toBe(cells);
});

test("a text that fits stays whole, a longer one ends in an ellipsis and never exceeds the width", () => {
  expect(fitWidth("你好", 4)).toBe("你好");
  expect(fitWidth("你好吗", 5)).toBe("你好…");
  expect(fitWidth("你好吗", 4)).toBe("你…");
  expect(fitWidth("abc", 0)).toBe("");
});

test("padding counts cells, not characters", () => {
  expect(padWidth("你", 4)).toBe("你  ");
  expect(padWidthStart("12", 4)).toBe("  12");
  expect(padWidth("toolong", 3)).toBe("toolong");
});
