/** GGUF's quantized types that run: how they lie in files, and as what native code holds them (kernels/quant_blocks.cpp). */
import type { QuantType } from "../native/binding.ts";

export interface QuantFormat {
  /** Numbers and bytes of a quant block. */
  readonly elements: number;
  readonly bytes: number;
  /** Packed weights with the file's own integers, scales and minimums, for people. */
  readonly becomes: string;
  /** Bits of their integers. */
  readonly bits: number;
  /** Bytes of their scales for 32 numbers of a row. */
  readonly scaleBytes: number;
}

const levels = "scales and minimums of 6 bits below f16";

export const quantFormats: Readonly<Record<QuantType, QuantFormat>> = {
  Q4_0: format(32, 18, "w4, scales of 32", 4, 2),
  Q4_1: format(32, 20, "w4, scales and minimums of 32", 4, 4),
  Q5_0: format(32, 22, "w5, scales of 32", 5, 2),
  Q5_1: format(32, 24, "w5, scales and minimums of 32", 5, 4),
  Q8_0: format(32, 34, "w8, scales of 32", 8, 2),
  Q4_K: format(256, 144, `w4, ${levels}, of 32`, 4, 2.5),
  Q5_K: format(256, 176, `w5, ${levels}, of 32`, 5, 2.5),
  Q6_K: format(256, 210, "w6, scales of 8 bits below f16, of 16", 6, 2.25),
  TQ1_0: format(256, 54, "w2 (ternary), scales of 128", 2, 0.5),
  TQ2_0: format(256, 66, "w2 (ternary), scales of 128", 2, 0.5),
};

export const quantTypes = Object.keys(quantFormats) as readonly QuantType[];

export function isQuantType(dtype: string): dtype is QuantType {
  return dtype in quantFormats;
}

/** A matrix of that type holds packed weights once it is loaded, exactly those of the file. */
export function repackedBytes(dtype: QuantType, [rows = 0, columns = 0]: readonly number[]): number {
  const { bits, scaleBytes } = quantFormats[dtype];
  const scales = Math.ceil((16 * (columns / 32) * scaleBytes) / 64) * 64;
  return Math.ceil(rows / 16) * (scales + 2 * columns * bits);
}

function format(
  elements: number,
  bytes: number,
  becomes: string,
  bits: number,
  scaleBytes: number,
): QuantFormat {
  return { elements, bytes, becomes, bits, scaleBytes };
}
