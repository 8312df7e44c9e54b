/** How large a weight is: in numbers, and in bytes of its file. */
import type { Packing, WeightPlan } from "../native/binding.ts";

/** [elements, bytes] of one storage unit. */
const units: Record<WeightPlan["dtype"], readonly [elements: number, bytes: number]> = {
  F32: [1, 4],
  F16: [1, 2],
  BF16: [1, 2],
  Q8_0: [32, 34],
  Q4_0: [32, 18],
  Q4_1: [32, 20],
};

export function weightElements({ shape }: Pick<WeightPlan, "shape">): number {
  return shape.reduce((product, length) => product * length, 1);
}

export function weightBytes(weight: Pick<WeightPlan, "dtype" | "shape">): number {
  const [elements, bytes] = units[weight.dtype];
  return (weightElements(weight) / elements) * bytes;
}

const packedBits = { w8: 8, w4: 4, w2: 2 } as const;

/** Bytes of a matrix packed, by kernels/packed.h: rows in tiles of 16, scales of a tile in lines of 64 bytes. */
export function packedBytes([rows = 0, columns = 0]: readonly number[], { format, group }: Packing): number {
  const scales = Math.ceil((Math.ceil(columns / group) * 16 * 2) / 64) * 64;
  return Math.ceil(rows / 16) * (scales + (16 * columns * packedBits[format]) / 8);
}
