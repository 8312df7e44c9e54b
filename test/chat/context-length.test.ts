import { expect, test } from "vitest";
import { chooseContextLength } from "../../src/chat/context-length.ts";
import type { MemoryPlan } from "../../src/native/binding.ts";

/** 1,000 bytes of weights, 100 of activations, 10 a token. */
function memoryPlan(capacity: number): MemoryPlan {
  return { mapped: 1000, weights: 0, kv: 10 * capacity, activations: 100, total: 1100 + 10 * capacity };
}

const choose = (freeBytes: number, asked: number | "auto" = "auto", most = 1000) =>
  chooseContextLength({ asked, most, freeBytes, memoryPlan });

test("by itself it is the model's maximum where that stays within half of free memory", () => {
  expect(choose(2 * 11_100)).toEqual({
    contextLength: 1000,
    contextReason: "The context is 1000 tokens, the model's maximum.",
    memory: memoryPlan(1000),
  });
});

test("else the largest multiple of 64 that does, and the reason says so", () => {
  const { contextLength, contextReason } = choose(2 * 11_099);
  expect(contextLength).toBe(960);
  expect(contextReason).toMatch(/960 tokens: the model's maximum of 1000 would take .* half of the .* free/);
  expect(choose(2 * (1100 + 10 * 640)).contextLength).toBe(640);
  expect(choose(2 * (1100 + 10 * 640) - 1).contextLength).toBe(576);
});

test("where the weights take more than half, the context gets half of what they leave", () => {
  const { contextLength, contextReason } = choose(1100 + 2 * 640);
  expect(contextLength).toBe(64);
  expect(contextReason).toMatch(/the weights leave free/);
  expect(choose(1100 + 640).contextLength).toBe(64); // no less than one block, while it fits
});

test("a length that is asked for may take all free memory", () => {
  expect(choose(1100 + 10 * 700, 700)).toMatchObject({ contextLength: 700, memory: memoryPlan(700) });
});

test("a length that does not fit is refused with the largest that does", () => {
  expect(() => choose(1100 + 10 * 700, 701)).toThrowError(
    expect.objectContaining({
      code: "OUT_OF_MEMORY",
      neededBytes: 8110,
      freeBytes: 8100,
      remedy: "Load the model with { contextLength: 640 } or less.",
    }),
  );
});

test("weights that do not fit are refused", () => {
  expect(() => choose(1100)).toThrowError(
    expect.objectContaining({ code: "OUT_OF_MEMORY", remedy: expect.stringContaining("weights alone") }),
  );
});

test.each([0, -64, 1.5, 1001, Number.NaN])("a contextLength of %s is refused", (asked) => {
  expect(() => choose(1e9, asked)).toThrowError(
    expect.objectContaining({ code: "OPTION", option: "contextLength" }),
  );
});

test("a model made for less than one block has that as its context", () => {
  expect(choose(1e9, "auto", 32).contextLength).toBe(32);
  expect(choose(1100 + 320, "auto", 32).contextLength).toBe(32);
});
