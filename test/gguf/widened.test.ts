import { expect, test } from "vitest";
import { tensorBytes, widened } from "../../src/gguf/widened.ts";

const floats = (values: Float32Array) => [...values];

test("halves become the numbers that they stand for", () => {
  const bits = [0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000, 0x7c00, 0x7e00];
  expect(floats(widened("F16", Buffer.from(Uint16Array.from(bits).buffer)))).toEqual([
    1,
    -2,
    65504,
    2 ** -14,
    2 ** -24,
    -0,
    Number.POSITIVE_INFINITY,
    Number.NaN,
  ]);
});

test("bfloat16 is the upper half of float32", () => {
  expect(floats(widened("BF16", Buffer.from([0x80, 0x3f, 0x49, 0xc0])))).toEqual([1, -3.140625]);
});

/** Bytes of a quant block: d = 0.5 and whatever follows. */
const block = (...rest: number[]) => Buffer.from([0x00, 0x38, ...rest]);

/** Sixteen bytes: element 0 is 3 and element 16 is 15, element 15 is 1 and element 31 is 8, others 0. */
const nibbles = [0xf3, ...new Array<number>(14).fill(0), 0x81];

test("a Q8_0 block is its scale times signed bytes", () => {
  const values = floats(widened("Q8_0", block(127, 0x80, ...new Array<number>(29).fill(0), 0xff)));
  expect(values).toHaveLength(32);
  expect([values[0], values[1], values[2], values[31]]).toEqual([63.5, -64, 0, -0.5]);
});

test("a Q4_0 block is its scale times nibbles less 8, low nibbles first", () => {
  const values = floats(widened("Q4_0", Buffer.concat([block(...nibbles), block(...nibbles)])));
  expect(values).toHaveLength(64);
  expect([0, 1, 15, 16, 31, 48].map((i) => values[i])).toEqual([-2.5, -4, -3.5, 3.5, 0, 3.5]);
});

test("a Q4_1 block adds its minimum", () => {
  const values = floats(widened("Q4_1", block(0x00, 0xbc, ...nibbles)));
  expect([0, 1, 15, 16, 31].map((i) => values[i])).toEqual([0.5, -1, -0.5, 6.5, 3]);
});

test("a tensor's bytes follow from type and shape", () => {
  const shape = [3, 64];
  const sizes = (["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"] as const).map((type) =>
    tensorBytes(type, shape),
  );
  expect(sizes).toEqual([768, 384, 384, 204, 108, 120]);
});
