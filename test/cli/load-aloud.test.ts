import { expect, test } from "vitest";
import { loadNotices } from "../../src/cli/load-aloud.ts";
import type { ModelInfo } from "../../src/index.ts";

const info = {
  contextLength: 4096,
  maxContextLength: 32768,
  contextReason: "The context is 4096 tokens because ...",
  notices: ["It runs dense."],
} as unknown as ModelInfo;

test("a context smaller than the model's maximum is said aloud where nobody asked for it", () => {
  expect(loadNotices(info, {})).toEqual(["It runs dense.", "The context is 4096 tokens because ..."]);
  expect(loadNotices(info, { contextLength: "auto" })).toContain(info.contextReason);
});

test("a context as asked, or as large as the model's, is not", () => {
  expect(loadNotices(info, { contextLength: 4096 })).toEqual(["It runs dense."]);
  expect(loadNotices({ ...info, contextLength: 32768 }, {})).toEqual(["It runs dense."]);
});
