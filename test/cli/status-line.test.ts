import { expect, test } from "vitest";
import { prefillStatus, StatusLine } from "../../src/cli/status-line.ts";

function recorder(isTTY: boolean, columns = 12) {
  const writes: string[] = [];
  return { writes, stream: { isTTY, columns, write: (text: string) => writes.push(text) } };
}

test("the line is rewritten in place, cut to the terminal's width, and taken away once", () => {
  const { writes, stream } = recorder(true);
  const status = new StatusLine(stream);
  status.show("你好你好你好你好");
  status.clear();
  status.clear();
  expect(writes).toEqual(["\r\x1b[K你好你好你…", "\r\x1b[K"]);
});

test("nothing is written where no terminal is", () => {
  const { writes, stream } = recorder(false);
  const status = new StatusLine(stream);
  status.show("prefill");
  status.clear();
  expect(writes).toEqual([]);
});

test("prefill is told in percent, rounded down", () => {
  expect(prefillStatus(999, 1000)).toBe("prefill 99 % of 1000 tokens");
});
