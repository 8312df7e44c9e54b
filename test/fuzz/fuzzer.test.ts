import { expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { randomNumbers } from "../random-numbers.ts";
import { fuzz } from "./fuzzer.ts";
import { mutate } from "./mutate.ts";

const counts = (url: string) => url.endsWith("fuzzer.test.ts");
const seeds = [Buffer.from("{}")];

/** Fails only behind choices, one after the other: found by what it reaches, hardly by luck. */
function brittle(bytes: Uint8Array): void {
  if (bytes[0] !== 0x7b) throw new CheckpointError("f", "", "{", "else");
  if (bytes[1] === 0x5b) {
    if (bytes[2] === 0x22) throw new RangeError("index out of range");
  }
}

test("an error that is no MiniCpmError is found, behind several choices", { timeout: 120_000 }, () => {
  const { finding } = fuzz({ name: "brittle", seeds, parse: brittle }, { runs: 100_000, counts });
  expect(finding?.what).toMatch(/RangeError: index out of range/);
  expect(finding?.input.subarray(0, 3).toString()).toBe('{["');
});

test("a MiniCpmError is an answer like any other", () => {
  const parse = () => {
    throw new CheckpointError("f", "", "a", "b");
  };
  const { finding, runs } = fuzz({ name: "refuses", seeds, parse }, { runs: 500, counts });
  expect(finding).toBeUndefined();
  expect(runs).toBeGreaterThan(1);
});

test("an input that takes too much memory is found", () => {
  let kept = Buffer.alloc(0);
  const parse = (bytes: Uint8Array) => {
    if (bytes.length > 2) kept = Buffer.alloc(kept.length + (300 << 20), 1);
  };
  const { finding } = fuzz({ name: "greedy", seeds, parse }, { runs: 100_000, counts });
  expect(finding?.what).toMatch(/MiB/);
});

test("the same seed makes the same mutants, none longer than allowed", () => {
  const mutants = () => {
    const random = randomNumbers(7);
    return Array.from({ length: 200 }, () =>
      mutate(Buffer.from("abcdefgh"), seeds, random, 12).toString("hex"),
    );
  };
  expect(mutants()).toEqual(mutants());
  expect(new Set(mutants()).size).toBeGreaterThan(100);
  expect(Math.max(...mutants().map((hex) => hex.length / 2))).toBeLessThanOrEqual(12);
});
