/** How large a weight is: in numbers, and in bytes of its file. */
import type { WeightPlan } from "../native/binding.ts";

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
