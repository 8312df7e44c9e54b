import { expect, test } from "vitest";
import { affineFit, areaUnder } from "../../src/bench/curve-fit.ts";

test("places on a line give the line", () => {
  const line = affineFit([2, 5, 11].map((x) => ({ x, y: 3 + 0.5 * x })));
  expect(line?.(0)).toBeCloseTo(3, 9);
  expect(line?.(100)).toBeCloseTo(53, 9);
});

test("errors count by their share: a long length does not outweigh the short ones", () => {
  const line = affineFit([
    { x: 1, y: 1 },
    { x: 2, y: 2 },
    { x: 1000, y: 1100 },
  ]);
  expect(line?.(1)).toBeCloseTo(1, 1);
  expect(line?.(1000)).toBeLessThan(1100);
});

test("nothing falls with the length", () => {
  const line = affineFit([
    { x: 1, y: 2.1 },
    { x: 2, y: 2 },
    { x: 4, y: 1.9 },
  ]);
  expect(line?.(1)).toBe(line?.(4));
  expect(line?.(1)).toBeGreaterThan(1.9);
  expect(line?.(1)).toBeLessThan(2.1);
});

test("one x has no line", () => {
  expect(affineFit([])).toBeUndefined();
  const same = { x: 3, y: 1 };
  expect(affineFit([same, same])).toBeUndefined();
});

test("the area under places is that of trapezoids, before the first one of a rectangle", () => {
  const places = [
    { x: 2, y: 1 },
    { x: 4, y: 3 },
    { x: 8, y: 3 },
  ];
  expect(areaUnder(places, 2)).toBe(2);
  expect(areaUnder(places, 4)).toBe(2 + 4);
  expect(areaUnder(places, 8)).toBe(2 + 4 + 12);
});
