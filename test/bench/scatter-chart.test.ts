import { expect, test } from "vitest";
import { scatterChart } from "../../src/bench/scatter-chart.ts";

test("points stand by the logarithm of x and by y from 0, each with its name and its group's colour", () => {
  const svg = scatterChart({
    title: "t",
    notes: [],
    x: "KL",
    y: "tok/s",
    points: [
      { group: "ours", name: "w8", x: 1e-3, y: 40 },
      { group: "ours", name: "w4", x: 1e-1, y: 80 },
      { group: "theirs", name: "Q4_0", x: 1e-2, y: 0 },
    ],
  });
  const circles = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)" r="5" fill="(#\w+)"/g)];
  const [w8, w4, q4] = circles.map(([, x, y, colour]) => ({ x: Number(x), y: Number(y), colour }));
  expect(w8?.x).toBe(64);
  expect(w4?.x).toBe(664);
  expect(q4?.x).toBe(364);
  expect((w8?.y ?? 0) - (w4?.y ?? 0)).toBe(190);
  expect((q4?.y ?? 0) - (w4?.y ?? 0)).toBe(380);
  expect(w8?.colour).toBe(w4?.colour);
  expect(q4?.colour).not.toBe(w8?.colour);
  for (const word of ["w8", "w4", "Q4_0", "1e-3", "1e-2", "1e-1"]) expect(svg).toContain(`>${word}<`);
});
