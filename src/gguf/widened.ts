/** Tensor types that are written anew for other engines, as float32. Exact: float32 holds every number of the others. */
import { fromF16 } from "../model/half.ts";

export type WidenedType = "F32" | "F16" | "BF16" | "Q8_0" | "Q4_0" | "Q4_1";

/** Elements and bytes of a quant block; a type without blocks has blocks of one. */
const blocks: Readonly<Record<WidenedType, { readonly elements: number; readonly bytes: number }>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
};

export function isWidenedType(type: string): type is WidenedType {
  return type in blocks;
}

/** Bytes of a tensor in a file. */
export function tensorBytes(type: WidenedType, shape: readonly number[]): number {
  const { elements, bytes } = blocks[type];
  return (shape.reduce((product, length) => product * length, 1) / elements) * bytes;
}

/**
 * The tensor's numbers. Quant blocks as ggml-common.h lays them out: scale d (and minimum m of Q4_1) in f16, then
 * quants, of which a byte's low nibble is element i and its high nibble element i + 16.
 */
export function widened(type: WidenedType, from: Buffer): Float32Array {
  const { elements, bytes } = blocks[type];
  const wide = new Float32Array((from.length / bytes) * elements);
  const bits = new Uint32Array(wide.buffer);
  for (let at = 0, to = 0; at < from.length; at += bytes, to += elements) {
    if (type === "F32") bits[to] = from.readUInt32LE(at);
    else if (type === "BF16") bits[to] = from.readUInt16LE(at) << 16;
    else if (type === "F16") wide[to] = fromF16(from.readUInt16LE(at));
    else {
      const d = fromF16(from.readUInt16LE(at));
      const m = type === "Q4_1" ? fromF16(from.readUInt16LE(at + 2)) : 0;
      for (let i = 0; i < elements; ++i) wide[to + i] = d * quant(type, from, at, i) + m;
    }
  }
  return wide;
}

/** The integer of element `i` of the block at `at`. */
function quant(type: "Q8_0" | "Q4_0" | "Q4_1", from: Buffer, at: number, i: number): number {
  if (type === "Q8_0") return from.readInt8(at + 2 + i);
  const byte = from.readUInt8(at + (type === "Q4_1" ? 4 : 2) + (i % 16));
  const nibble = i < 16 ? byte & 15 : byte >> 4;
  return type === "Q4_0" ? nibble - 8 : nibble;
}
