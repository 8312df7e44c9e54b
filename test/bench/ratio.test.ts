import { expect, test } from "vitest";
import { pairedRatio, unpairedRatio } from "../../src/bench/ratio.ts";

test("rates of the same rounds are compared round by round", () => {
  // The machine was half as fast in the second round: the ratio does not see it.
  expect(pairedRatio([20, 11, 21], [10, 5, 10])).toEqual({ median: 2.1, least: 2, most: 2.2 });
});

test("one round is its own median, least and most", () => {
  expect(pairedRatio([3], [2])).toEqual({ median: 1.5, least: 1.5, most: 1.5 });
});

test("rates of other times have a ratio of medians, and the widest spread there can be", () => {
  expect(unpairedRatio([20, 10, 30], [10, 5])).toEqual({ median: 20 / 7.5, least: 1, most: 6 });
});
