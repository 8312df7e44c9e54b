/** Writes safetensors: a header, then the tensors' bytes in its order. */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
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

/** Bytes written, of all. */
export interface WriteProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Writes a new file part by part; may be left early. Throws as the file system and `partsOf`.
 *
 * @param partsOf the bytes of a tensor, one after the other
 */
export async function* writeSafetensors<Tensor extends { readonly bytes: number }>(
  path: string,
  header: Buffer,
  tensors: readonly Tensor[],
  partsOf: (tensor: Tensor) => AsyncIterable<Uint8Array>,
): AsyncGenerator<WriteProgress> {
  const total = tensors.reduce((sum, { bytes }) => sum + bytes, header.length);
  const file = openSync(path, "wx");
  try {
    writeAll(file, header, 0);
    let done = header.length;
    for (const tensor of tensors) {
      for await (const bytes of partsOf(tensor)) {
        writeAll(file, bytes, done);
        done += bytes.length;
        yield { done, total };
      }
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Writes `bytes` from `offset` of the file on. */
export function writeAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, bytes.length - done, offset + done);
  }
}
