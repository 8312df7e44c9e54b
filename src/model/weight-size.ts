/** How large a weight is: in numbers, and in bytes of its file. */
import type { ArrayType, Packing, WeightPlan } from "../native/binding.ts";
import { arrayBytes, isArrayType } from "./array-types.ts";
import { isQuantType, quantFormats } from "./quant-types.ts";

/** Types of packed matrices, with what they are packed as. */
const packedTypes = { W8: "w8", W4: "w4", W2: "w2" } as const;

type PackedType = keyof typeof packedTypes;

/** Types whose numbers lie row by row. */
export type PlainType = Exclude<WeightPlan["dtype"], PackedType | ArrayType>;

/** Bytes of a number. */
const numberBytes = { F32: 4, F16: 2, BF16: 2 } as const;

export function weightElements({ shape }: Pick<WeightPlan, "shape">): number {
  return shape.reduce((product, length) => product * length, 1);
}

export function weightBytes(weight: Omit<WeightPlan, "file" | "offset">): number {
  const { dtype, shape, group = 128 } = weight;
  if (isPackedType(dtype)) return packedBytes(shape, { format: packedTypes[dtype], group });
  if (isArrayType(dtype)) return arrayBytes({ ...weight, dtype });
  if (!isQuantType(dtype)) return weightElements({ shape }) * numberBytes[dtype];
  const { elements, bytes } = quantFormats[dtype];
  return (weightElements({ shape }) / elements) * bytes;
}

/** Packed when it is loaded, with the numbers that its file has. */
export function isRepacked({ dtype, ternary }: WeightPlan): boolean {
  return isQuantType(dtype) || isArrayType(dtype) || ternary !== undefined;
}

export function isPackedType(dtype: WeightPlan["dtype"]): dtype is PackedType {
  return dtype in packedTypes;
}

const packedBits = { w8: 8, w4: 4, w2: 2 } as const;

/** Columns of packed matrices are a multiple of this: a group of activations. */
export const packedColumns = 32;

/** Packed matrices begin at a multiple of this, bytes, and are a multiple of it long. */
export const packedLine = 64;

/** Rows of a packed matrix come in tiles of so many; the last is filled up. */
export const packedRows = 16;

/** Bytes of a matrix packed. */
export function packedBytes(shape: readonly number[], packing: Packing): number {
  const [tiles, tileBytes] = packedShape(shape, packing);
  return tiles * tileBytes;
}

/** A matrix packed, by kernels/packed.h: its tiles, and the bytes of each, whose scales fill lines of 64 bytes. */
export function packedShape(
  [rows = 0, columns = 0]: readonly number[],
  { format, group }: Packing,
): readonly [tiles: number, tileBytes: number] {
  const scales = Math.ceil((Math.ceil(columns / group) * packedRows * 2) / packedLine) * packedLine;
  return [Math.ceil(rows / packedRows), scales + (packedRows * columns * packedBits[format]) / 8];
}

/** How our matrix `name` is packed: head and embedding are w8 whatever the layers are. */
export function packingOfWeight(name: string, { format, group }: Packing): Packing {
  return { format: name === "head" || name === "embed" ? "w8" : format, group };
}
