/** The safetensors file of a packed folder: matrices as native code packs them, then vectors as float32. */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { withFile } from "../model/byte-source.ts";
import { huggingFaceNames } from "../model/checkpoint.ts";
import { fromF16 } from "../model/half.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { type PackedModel, packedMetadata } from "../model/packed-model.ts";
import {
  packedLine,
  packedRows,
  packedShape,
  packingOfWeight,
  weightBytes,
  weightElements,
} from "../model/weight-size.ts";
import { addon, type Packing, type WeightPlan } from "../native/binding.ts";

/** Bytes packed at once, about. */
const partBytes = 32 * 2 ** 20;

/** A weight of the checkpoint, and what it becomes. */
interface PackedTensor {
  /** Hugging Face's. */
  readonly name: string;
  readonly weight: WeightPlan;
  /** Absent: a vector, which becomes float32. */
  readonly packing?: Packing;
  readonly dtype: "U8" | "F32";
  readonly shape: readonly number[];
  readonly bytes: number;
}

export interface WriteProgress {
  /** Bytes written, of all. */
  readonly done: number;
  readonly total: number;
}

export interface PackedFileOptions {
  readonly packed: PackedModel;
  /** Threads that pack. */
  readonly threads: number;
}

/** Bytes of the file, but for its header. */
export function packedFileBytes(checkpoint: OpenedCheckpoint, packing: Packing): number {
  return packedTensors(checkpoint, packing).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Writes it part by part, tens of MiB of memory in all; may be left early. Throws as `packWeight` and the file system. */
export async function* writePackedFile(
  path: string,
  checkpoint: OpenedCheckpoint,
  { packed, threads }: PackedFileOptions,
): AsyncGenerator<WriteProgress> {
  const tensors = packedTensors(checkpoint, packed);
  const total = packedFileBytes(checkpoint, packed);
  const file = openSync(path, "wx");
  try {
    writeAll(file, headerBytes(tensors, packed));
    let done = 0;
    for (const tensor of tensors) {
      for await (const bytes of parts(checkpoint, tensor, threads)) {
        writeAll(file, bytes);
        done += bytes.length;
        yield { done, total };
      }
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Matrices first: they are multiples of 64 bytes, so that each begins at one. */
function packedTensors({ plan, tiedHead, config }: OpenedCheckpoint, packing: Packing): PackedTensor[] {
  const names = huggingFaceNames(config, tiedHead);
  const tensors = Object.entries(plan.weights).map(([ours, weight]): PackedTensor => {
    const name = names.get(ours) ?? ours;
    if (weight.shape.length === 1) {
      return { name, weight, dtype: "F32", shape: weight.shape, bytes: 4 * weightElements(weight) };
    }
    const own = packingOfWeight(ours, packing);
    const [tiles, tileBytes] = packedShape(weight.shape, own);
    return { name, weight, packing: own, dtype: "U8", shape: [tiles, tileBytes], bytes: tiles * tileBytes };
  });
  return tensors.sort((a, b) => Number(a.dtype === "F32") - Number(b.dtype === "F32"));
}

/** Length and JSON, filled up with spaces so that the tensors begin at a multiple of 64 bytes. */
function headerBytes(tensors: readonly PackedTensor[], packed: PackedModel): Buffer {
  const header: Record<string, unknown> = { __metadata__: packedMetadata(packed) };
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

async function* parts(
  { plan }: OpenedCheckpoint,
  { weight, packing }: PackedTensor,
  threads: number,
): AsyncGenerator<Uint8Array> {
  const file = plan.files[weight.file];
  if (!file) throw new RangeError(`The plan has no file ${weight.file}.`);
  if (!packing) {
    const bytes = withFile(file.path, (source) => source.read(weight.offset, weightBytes(weight)));
    yield new Uint8Array(vector(weight.dtype, bytes).buffer);
    return;
  }
  const rows = weight.shape[0] ?? 0;
  const [, tileBytes] = packedShape(weight.shape, packing);
  const most = packedRows * Math.max(1, Math.floor(partBytes / tileBytes));
  const source = { ...weight, file: 0 };
  for (let firstRow = 0; firstRow < rows; firstRow += most) {
    const part = { ...packing, firstRow, rows: Math.min(most, rows - firstRow), threads };
    yield await addon().packWeight(file, source, part);
  }
}

/** Float32 holds every number of the others. */
function vector(dtype: WeightPlan["dtype"], bytes: Buffer): Float32Array {
  const size = dtype === "F32" ? 4 : 2;
  return Float32Array.from({ length: bytes.length / size }, (_, i) => {
    if (dtype === "F32") return bytes.readFloatLE(4 * i);
    if (dtype === "F16") return fromF16(bytes.readUInt16LE(2 * i));
    return new Float32Array(Uint32Array.of(bytes.readUInt16LE(2 * i) << 16).buffer)[0] ?? 0;
  });
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}
