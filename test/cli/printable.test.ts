import { expect, test } from "vitest";
import { escaped, printable } from "../../src/cli/printable.ts";

test("text for a terminal keeps lines and tabs and loses every control character", () => {
  expect(printable("a\tb\n\x1b[31mred\x07\r\x9b")).toBe("a\tb\n\ufffd[31mred\ufffd\ufffd\ufffd");
});

test("escaped text stays on one line and quotes stay quotes", () => {
  expect(escaped('say "hi"\n\x1b[0m\x7f\u2028')).toBe('say "hi"\\n\\u001b[0m\\u007f\\u2028');
});
