/** Any tensor type that we read, as float32. Exact: float32 holds every number of the others. */
import type { WeightPlan } from "../../src/native/binding.ts";

type Type = WeightPlan["dtype"];

/** Elements and bytes of a quant block; a type without blocks has blocks of one. */
const blocks: Readonly<Record<Type, { readonly elements: number; readonly bytes: number }>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
};

/** Bytes of a tensor in a file. */
export function tensorBytes(type: Type, shape: readonly number[]): number {
  const { elements, bytes } = blocks[type];
  return (shape.reduce((product, length) => product * length, 1) / elements) * bytes;
}

/**
 * The tensor's numbers as float32, little-endian. Quant blocks as ggml-common.h lays them out: scale d (and minimum m of
 * Q4_1) in f16, then quants, of which a byte's low nibble is element i and its high nibble element i + 16.
 */
export function widened(type: Type, from: Buffer): Buffer {
  if (type === "F32") return from;
  const { elements, bytes } = blocks[type];
  const wide = Buffer.alloc((from.length / bytes) * elements * 4);
  for (let at = 0, to = 0; at < from.length; at += bytes, to += 4 * elements) {
    if (type === "BF16") wide.writeUInt16LE(from.readUInt16LE(at), to + 2);
    else if (type === "F16") wide.writeFloatLE(half(from.readUInt16LE(at)), to);
    else {
      const d = half(from.readUInt16LE(at));
      const m = type === "Q4_1" ? half(from.readUInt16LE(at + 2)) : 0;
      for (let i = 0; i < elements; ++i) {
        wide.writeFloatLE(d * quant(type, from, at, i) + m, to + 4 * i);
      }
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

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
