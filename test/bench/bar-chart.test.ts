import { expect, test } from "vitest";
import { barChart } from "../../src/bench/bar-chart.ts";

const chart = (length: number, most = length) =>
  barChart({
    title: 'A "title" & <more>',
    notes: ["one", "two"],
    rows: [
      {
        name: "first",
        ours: { length, least: 0.5, most, label: "ours" },
        theirs: { length: 1, label: "theirs" },
      },
    ],
  });

/** Widths of the bars, the background left out. */
const widths = (svg: string) =>
  [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));

test("bars are as long as their numbers, and the longest one takes the room", () => {
  const [ours = 0, theirs = 0] = widths(chart(2));
  expect(ours / theirs).toBeCloseTo(2, 2);
  const [short = 0, long = 0] = widths(chart(0.25));
  expect(short / long).toBeCloseTo(0.25, 2);
  expect(long).toBe(ours);
});

test("a spread beyond the bar still fits", () => {
  const svg = chart(1, 4);
  const [ours = 0] = widths(svg);
  const [, from, to] = /d="M([\d.]+) [\d.]+H([\d.]+)M/.exec(svg) ?? [];
  expect((Number(to) - Number(from)) / ours).toBeCloseTo(3.5, 2);
  expect(Number(to)).toBeLessThan(760);
});

test("text is escaped, every element is closed", () => {
  const svg = chart(1);
  expect(svg).toContain("A &quot;title&quot; &amp; &lt;more&gt;");
  const open: string[] = [];
  for (const [, end, name = "", self] of svg.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
    if (end) expect(open.pop()).toBe(name);
    else if (!self) open.push(name);
  }
  expect(open).toEqual([]);
});
