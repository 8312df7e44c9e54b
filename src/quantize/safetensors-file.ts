/** Writes safetensors: a header, then the tensors' bytes in its order. */
import { writeSync } from "node:fs";
import { packedLine } from "../model/weight-size.ts";

/** A tensor's line in the header. */
export interface TensorPlace {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** How many it has. */
  readonly bytes: number;
}

/** Length and JSON, filled up with spaces so that the tensors begin at a multiple of 64 bytes. */
export function safetensorsHeader(
  tensors: readonly TensorPlace[],
  metadata: Readonly<Record<string, string>>,
): Buffer {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const json = JSON.stringify(header);
  const text = Math.ceil((8 + Buffer.byteLength(json)) / packedLine) * packedLine - 8;
  const result = Buffer.alloc(8 + text, " ");
  result.writeBigUInt64LE(BigInt(text));
  result.write(json, 8);
  return result;
}

/** Writes `bytes` from `offset` of the file on. */
export function writeAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, bytes.length - done, offset + done);
  }
}
