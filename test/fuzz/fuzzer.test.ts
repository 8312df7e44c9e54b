import { expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { fuzz } from "./fuzzer.ts";
import { mutate, seededRandom } from "./mutate.ts";

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
  const { finding } = fuzz({ name: "brittle", seeds, parse: brittle }, { seconds: 60, counts });
  expect(finding?.what).toMatch(/RangeError: index out of range/);
  expect(finding?.input.subarray(0, 3).toString()).toBe('{["');
});

test("a MiniCpmError is an answer like any other", () => {
  const parse = () => {
    throw new CheckpointError("f", "", "a", "b");
  };
  const { finding, runs } = fuzz({ name: "refuses", seeds, parse }, { seconds: 0.05, counts });
  expect(finding).toBeUndefined();
  expect(runs).toBeGreaterThan(1);
});

test("an input that takes too much memory is found", () => {
  const kept: Buffer[] = [];
  const parse = (bytes: Uint8Array) => bytes.length > 2 && kept.push(Buffer.alloc(300 << 20, 1));
  const { finding } = fuzz({ name: "greedy", seeds, parse }, { seconds: 30, counts });
  expect(finding?.what).toMatch(/MiB/);
});

test("the same seed makes the same mutants, none longer than allowed", () => {
  const mutants = () => {
    const random = seededRandom(7);
    return Array.from({ length: 200 }, () =>
      mutate(Buffer.from("abcdefgh"), seeds, random, 12).toString("hex"),
    );
  };
  expect(mutants()).toEqual(mutants());
  expect(new Set(mutants()).size).toBeGreaterThan(100);
  expect(Math.max(...mutants().map((hex) => hex.length / 2))).toBeLessThanOrEqual(12);
});
