/** Safetensors files with any header a test asks for. */
import type { SeededDType } from "../../src/bench/seeded-checkpoint.ts";

/** The header as JSON, then `dataBytes` zero bytes. */
export function safetensorsBytes(header: unknown, dataBytes: number): Buffer {
  const json = JSON.stringify(header);
  const text = Buffer.from(json.padEnd(Math.ceil(Buffer.byteLength(json) / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

export interface ZeroTensor {
  readonly dtype: SeededDType | "I8";
  readonly shape: readonly number[];
}

/** A file of zeros: the tensors one after another. */
export function zeroTensors(tensors: Readonly<Record<string, ZeroTensor>>): Buffer {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, { dtype, shape }] of Object.entries(tensors)) {
    const begin = end;
    const unit = dtype === "F32" ? 4 : dtype === "I8" ? 1 : 2;
    end += shape.reduce((product, length) => product * length, unit);
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  return safetensorsBytes(header, end);
}
