import { expect, test } from "vitest";
import { blockElements, type EncodedType, encoded, encodedBytes } from "../../src/gguf/quant-blocks.ts";
import { widened } from "../../src/gguf/widened.ts";

/** Numbers from -1 to 1, of both signs, in no order. */
const numbers = (count: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * i) * (1 + (i % 7)) * 0.125);

/** Q6_K by its formula, element by element, as ggml-common.h and ggml's dequantize_row_q6_K have it. */
function decodedQ6(bytes: Buffer): Float32Array {
  const d = widened("F16", bytes.subarray(208, 210))[0] as number;
  return Float32Array.from({ length: 256 }, (_, i) => {
    const [half, rest] = [i >> 7, i & 127];
    const low = bytes.readUInt8(64 * half + (rest % 64));
    const upper = (bytes.readUInt8(128 + 32 * half + (rest % 32)) >> (2 * (rest >> 5))) & 3;
    const q = ((rest < 64 ? low & 15 : low >> 4) | (upper << 4)) - 32;
    return d * bytes.readInt8(192 + (i >> 4)) * q;
  });
}

/** TQ2_0 by its formula, as ggml's dequantize_row_tq2_0 has it. */
function decodedTernary(bytes: Buffer): Float32Array {
  const d = widened("F16", bytes.subarray(64, 66))[0] as number;
  return Float32Array.from({ length: 256 }, (_, i) => {
    const [half, rest] = [i >> 7, i & 127];
    return d * (((bytes.readUInt8(32 * half + (rest % 32)) >> (2 * (rest >> 5))) & 3) - 1);
  });
}

const largest = (x: Float32Array) => Math.max(...x.map(Math.abs));
const gap = (a: Float32Array, b: Float32Array) =>
  Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? 0))));

test.each<[EncodedType & ("Q8_0" | "Q4_0"), number]>([
  ["Q8_0", 0.5 / 127],
  ["Q4_0", 0.5 / 8],
])("%s is read back within half a step", (type, halfStep) => {
  const x = numbers(32);
  const found = widened(type, encoded(type, x));
  // A positive number next to the largest magnitude, which is -8 steps, has no step of its own in Q4_0.
  expect(gap(found, x)).toBeLessThan(largest(x) * (type === "Q4_0" ? 2 * halfStep : 1.01 * halfStep));
  expect(gap(found, x)).toBeGreaterThan(largest(x) * halfStep * 0.5);
});

test("numbers that a Q4_0 block can hold come back as they were", () => {
  const x = Float32Array.from({ length: 32 }, (_, i) => 0.25 * ((i % 16) - 8));
  expect(widened("Q4_0", encoded("Q4_0", x))).toEqual(x);
});

test("numbers that a Q6_K block can hold come back as they were", () => {
  // Group 15 has the largest step, 127 * d.
  const steps = Array.from({ length: 16 }, (_, group) => (group === 15 ? 127 : 8 * (group + 1)));
  const x = Float32Array.from(
    { length: 256 },
    (_, i) => (steps[i >> 4] as number) * (((i * 5) % 64) - 32) * 0.5,
  );
  for (const [group, step] of steps.entries()) x[16 * group] = step * -32 * 0.5;
  expect(decodedQ6(encoded("Q6_K", x))).toEqual(x);
});

test("ternary numbers come back from TQ2_0 as they were", () => {
  const x = Float32Array.from({ length: 256 }, (_, i) => 0.25 * (((i * i + (i >> 3)) % 3) - 1));
  expect(decodedTernary(encoded("TQ2_0", x))).toEqual(x);
});

test("any numbers come back from Q6_K within a step of their group", () => {
  const x = numbers(256);
  for (let group = 0; group < 16; ++group) {
    const part = x.subarray(16 * group, 16 * (group + 1));
    const found = decodedQ6(encoded("Q6_K", x)).subarray(16 * group, 16 * (group + 1));
    expect(gap(found, part)).toBeLessThan(largest(part) / 31 + largest(x) / 254);
  }
});

test.each<EncodedType>(["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q6_K", "TQ2_0"])(
  "zeros stay zeros in %s",
  (type) => {
    const zeros = new Float32Array(2 * blockElements(type));
    const bytes = encoded(type, zeros);
    expect(bytes).toHaveLength(encodedBytes(type, zeros.length));
    const found =
      type === "Q6_K"
        ? decodedQ6(bytes.subarray(210))
        : type === "TQ2_0"
          ? decodedTernary(bytes.subarray(66))
          : widened(type, bytes);
    expect(largest(found)).toBe(0);
  },
);

test("16-bit floats are rounded to nearest", () => {
  const x = Float32Array.of(1 + 2 ** -9, -65504, 2 ** -24, 1 / 3);
  expect([...widened("F16", encoded("F16", x))]).toEqual([1 + 2 ** -9, -65504, 2 ** -24, 0.333251953125]);
  expect([...widened("BF16", encoded("BF16", Float32Array.of(1 + 2 ** -9, 1 / 3)))]).toEqual([
    1, 0.333984375,
  ]);
});
