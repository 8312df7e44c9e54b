/**
 * Numbers as GGUF's quant blocks (ggml-common.h), rounded to nearest: what a benchmark gives to other engines. Chosen for
 * speed of writing, not for the least error: llama-quantize tries several scales a block.
 */
import { toBf16, toF16 } from "../model/half.ts";

/** Types that we can write. */
export type EncodedType = "F32" | "F16" | "BF16" | "Q8_0" | "Q4_0" | "Q6_K" | "TQ2_0";

interface Block {
  readonly elements: number;
  readonly bytes: number;
  /** Writes the block of `x[first ...]` at `at`. */
  readonly write: (x: Float32Array, first: number, to: Buffer, at: number) => void;
}

const blocks: Readonly<Record<EncodedType, Block>> = {
  F32: { elements: 1, bytes: 4, write: (x, first, to, at) => to.writeFloatLE(x[first] as number, at) },
  F16: { elements: 1, bytes: 2, write: (x, first, to, at) => to.writeUInt16LE(toF16(bitsOf(x[first])), at) },
  BF16: {
    elements: 1,
    bytes: 2,
    write: (x, first, to, at) => to.writeUInt16LE(toBf16(bitsOf(x[first])), at),
  },
  Q8_0: { elements: 32, bytes: 34, write: writeQ8_0 },
  Q4_0: { elements: 32, bytes: 18, write: writeQ4_0 },
  Q6_K: { elements: 256, bytes: 210, write: writeQ6_K },
  TQ2_0: { elements: 256, bytes: 66, write: writeTQ2_0 },
};

/** Numbers in one block; rows have to be a multiple of it. */
export function blockElements(type: EncodedType): number {
  return blocks[type].elements;
}

export function encodedBytes(type: EncodedType, elements: number): number {
  return (elements / blocks[type].elements) * blocks[type].bytes;
}

/** @param x finite, a multiple of the block's length */
export function encoded(type: EncodedType, x: Float32Array): Buffer {
  const { elements, bytes, write } = blocks[type];
  const to = Buffer.alloc(encodedBytes(type, x.length));
  for (let first = 0, at = 0; first < x.length; first += elements, at += bytes) write(x, first, to, at);
  return to;
}

/** d, then 32 signed bytes q: x = d * q. */
function writeQ8_0(x: Float32Array, first: number, to: Buffer, at: number): void {
  const d = Math.abs(largest(x, first, 32)) / 127;
  to.writeUInt16LE(toF16(bitsOf(d)), at);
  for (let i = 0; i < 32; ++i)
    to.writeInt8(d === 0 ? 0 : Math.round((x[first + i] as number) / d), at + 2 + i);
}

/** d, then 32 nibbles q: x = d * (q - 8). The number of the largest magnitude becomes -8. */
function writeQ4_0(x: Float32Array, first: number, to: Buffer, at: number): void {
  const d = largest(x, first, 32) / -8;
  to.writeUInt16LE(toF16(bitsOf(d)), at);
  const quant = (i: number) => (d === 0 ? 8 : Math.min(15, Math.floor((x[first + i] as number) / d + 8.5)));
  for (let i = 0; i < 16; ++i) to[at + 2 + i] = quant(i) | (quant(i + 16) << 4);
}

/**
 * 256 quants q of 6 bits in 16 groups, a signed byte s each, and d at the end: x = d * s * (q - 32). Of each 128, byte l
 * of the low nibbles has elements l and l + 64 (l < 64); byte l of the upper bits has l, l + 32, l + 64, l + 96 (l < 32).
 */
function writeQ6_K(x: Float32Array, first: number, to: Buffer, at: number): void {
  const scales = Array.from({ length: 16 }, (_, group) => largest(x, first + 16 * group, 16) / -32);
  const d = Math.max(...scales.map(Math.abs)) / 127;
  const steps = scales.map((scale) => (d === 0 ? 0 : Math.round(scale / d)));
  const quant = (i: number) => {
    const step = d * (steps[i >> 4] as number);
    const q = step === 0 ? 0 : Math.round((x[first + i] as number) / step);
    return Math.min(31, Math.max(-32, q)) + 32;
  };
  for (let half = 0; half < 2; ++half) {
    for (let l = 0; l < 64; ++l) {
      to[at + 64 * half + l] = (quant(128 * half + l) & 15) | ((quant(128 * half + l + 64) & 15) << 4);
    }
    for (let l = 0; l < 32; ++l) {
      let upper = 0;
      for (let part = 0; part < 4; ++part) upper |= (quant(128 * half + 32 * part + l) >> 4) << (2 * part);
      to[at + 128 + 32 * half + l] = upper;
    }
  }
  for (const [group, step] of steps.entries()) to.writeInt8(step, at + 192 + group);
  to.writeUInt16LE(toF16(bitsOf(d)), at + 208);
}

/**
 * 256 quants q of 2 bits, then d: x = d * (q - 1), q at most 2. Of each 128, byte l has elements l, l + 32, l + 64 and
 * l + 96, from its lowest bits on.
 */
function writeTQ2_0(x: Float32Array, first: number, to: Buffer, at: number): void {
  const d = Math.abs(largest(x, first, 256));
  const quant = (i: number) => (d === 0 ? 1 : Math.round((x[first + i] as number) / d) + 1);
  for (let i = 0; i < 64; ++i) {
    const element = i < 32 ? i : 96 + i;
    let byte = 0;
    for (let part = 0; part < 4; ++part) byte |= quant(element + 32 * part) << (2 * part);
    to[at + i] = byte;
  }
  to.writeUInt16LE(toF16(bitsOf(d)), at + 64);
}

/** The number of the largest magnitude, with its sign. */
function largest(x: Float32Array, first: number, count: number): number {
  let found = 0;
  for (let i = first; i < first + count; ++i) {
    if (Math.abs(x[i] as number) > Math.abs(found)) found = x[i] as number;
  }
  return found;
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

function bitsOf(value = 0): number {
  float[0] = value;
  return word[0] as number;
}
