import { expect, test } from "vitest";
import { deviation, mean, median } from "../../src/bench/statistics.ts";

test("mean and deviation are those of the sample", () => {
  const values = [2, 4, 4, 4, 5, 5, 7, 9];
  expect(mean(values)).toBe(5);
  expect(deviation(values)).toBeCloseTo(Math.sqrt(32 / 7), 12);
});

test("one value does not deviate", () => {
  expect(mean([3])).toBe(3);
  expect(deviation([3])).toBe(0);
});

test("the median is the middle value, or the mean of two, and leaves its input as it is", () => {
  const values = [9, 1, 10];
  expect(median(values)).toBe(9);
  expect(values).toEqual([9, 1, 10]);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});
