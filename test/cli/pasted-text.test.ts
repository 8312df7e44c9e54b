import { expect, test } from "vitest";
import { PastedText, pastedLines } from "../../src/cli/pasted-text.ts";

test("short text on one line is put on the line as it is", () => {
  const pasted = new PastedText();
  expect(pasted.inline("你好 world", "pasted")).toBe("你好 world");
  expect(pasted.expand("你好 world")).toBe("你好 world");
});

test("several lines become a label that turns back into the very same text, wherever it stands", () => {
  const pasted = new PastedText();
  const text = "def f():\n\treturn '[pasted 1: 9 lines]'\n";
  const label = pasted.inline(text, "pasted");
  expect(label).toBe("[pasted 1: 3 lines]");
  expect(pasted.expand(`explain ${label} please`)).toBe(`explain ${text} please`);
});

test("long text is labelled by its size, the same text by the same label", () => {
  const pasted = new PastedText();
  const label = pasted.inline("x".repeat(501), "pasted");
  expect(label).toBe("[pasted 1: 501 characters]");
  expect(pasted.inline("x".repeat(501), "pasted")).toBe(label);
});

test("a label that nobody made stays text", () => {
  expect(new PastedText().expand("[pasted 7: 2 lines]")).toBe("[pasted 7: 2 lines]");
});

test("pasted line ends become newlines, and the last one goes", () => {
  expect(pastedLines("a\rb\r\nc\n")).toBe("a\nb\nc");
});
