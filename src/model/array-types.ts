/** Matrices in tensors for integers, scales and zero points: how large they are, and as what native code holds them. */
import type { ArrayParts, ArrayType, WeightPlan } from "../native/binding.ts";

/** Bits of their integers. */
const arrayBits: Readonly<Record<ArrayType, number>> = { GPTQ4: 4, GPTQ8: 8, AWQ4: 4, MARLIN4: 4 };

export const arrayTypes = Object.keys(arrayBits) as readonly ArrayType[];

export function isArrayType(dtype: string): dtype is ArrayType {
  return dtype in arrayBits;
}

type ArrayShape = Pick<WeightPlan, "shape" | "arrays"> & { readonly dtype: ArrayType };

/** Of a matrix, in its file: all that is its own. */
export function arrayBytes({ dtype, shape: [rows = 0, columns = 0], arrays }: ArrayShape): number {
  const bits = arrayBits[dtype];
  const groups = Math.ceil(columns / groupOf(arrays, columns));
  return (rows * (columns * bits + groups * (arrays?.zeroPoints ? 16 + bits : 16))) / 8;
}

/** The same held as packed weights, exactly those of the file. */
export function repackedArrayBytes({ dtype, shape: [rows = 0, columns = 0], arrays }: ArrayShape): number {
  const groups = Math.ceil(columns / packedGroup(groupOf(arrays, columns), columns));
  const scales = Math.ceil((16 * groups * (arrays?.symmetric ? 2 : 3)) / 64) * 64;
  return Math.ceil(rows / 16) * (scales + 2 * columns * arrayBits[dtype]);
}

/** What it becomes, for people. */
export function arrayBecomes({ dtype, shape: [, columns = 0], arrays }: ArrayShape): string {
  const scales = arrays?.symmetric ? "scales" : "scales and zero points";
  const group = groupOf(arrays, columns);
  const order = arrays?.columnGroups ? ", columns in the order of their activations" : "";
  return `w${arrayBits[dtype]}, ${scales} of ${group === columns ? "a row" : group}${order}`;
}

function groupOf(arrays: ArrayParts | undefined, columns: number): number {
  return arrays?.group ?? columns;
}

/** Columns that share a scale once they are packed: each group of the file's is one or several. */
function packedGroup(group: number, columns: number): number {
  if (group >= columns || group % 128 === 0) return 128;
  return group % 64 === 0 ? 64 : 32;
}
