/** The safetensors file of a packed folder: matrices as native code packs them, then vectors as float32. */
import { withFile } from "../model/byte-source.ts";
import { huggingFaceNames } from "../model/checkpoint.ts";
import { fromF16 } from "../model/half.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { type PackedModel, packedMetadata } from "../model/packed-model.ts";
import {
  packedRows,
  packedShape,
  packingOfWeight,
  weightBytes,
  weightElements,
} from "../model/weight-size.ts";
import { addon, type Packing, type WeightPlan } from "../native/binding.ts";
import { safetensorsHeader, type WriteProgress, writeSafetensors } from "./safetensors-file.ts";

/** Bytes packed at once, about. */
const partBytes = 32 * 2 ** 20;

/** A weight of the checkpoint, and what it becomes. */
export interface PackedTensor {
  /** Hugging Face's. */
  readonly name: string;
  /** Ours. */
  readonly ours: string;
  readonly weight: WeightPlan;
  /** Absent: a vector, which becomes float32. */
  readonly packing?: Packing;
  readonly dtype: "U8" | "F32";
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** All of the file but what the tensors hold. */
export interface PackedFilePlan {
  readonly header: Buffer;
  /** In their order in the file. */
  readonly tensors: readonly PackedTensor[];
  /** Of the whole file. */
  readonly bytes: number;
}

export interface PackedFileOptions {
  readonly packed: PackedModel;
  /** Threads that pack. */
  readonly threads: number;
}

/** Matrices first: they are multiples of 64 bytes, so that each begins at one. */
export function planPackedFile(checkpoint: OpenedCheckpoint, packed: PackedModel): PackedFilePlan {
  const { plan, tiedHead, config } = checkpoint;
  const names = huggingFaceNames(config, tiedHead);
  const unplaced = Object.entries(plan.weights).map(([ours, weight]): Omit<PackedTensor, "offset"> => {
    const name = names.get(ours) ?? ours;
    if (weight.shape.length === 1) {
      return { name, ours, weight, dtype: "F32", shape: weight.shape, bytes: 4 * weightElements(weight) };
    }
    const packing = packingOfWeight(ours, packed);
    const [tiles, tileBytes] = packedShape(weight.shape, packing);
    return { name, ours, weight, packing, dtype: "U8", shape: [tiles, tileBytes], bytes: tiles * tileBytes };
  });
  unplaced.sort((a, b) => Number(a.dtype === "F32") - Number(b.dtype === "F32"));
  const header = safetensorsHeader(unplaced, packedMetadata(packed));
  const tensors: PackedTensor[] = [];
  let end = header.length;
  for (const tensor of unplaced) {
    tensors.push({ ...tensor, offset: end });
    end += tensor.bytes;
  }
  return { header, tensors, bytes: end };
}

/** Writes it part by part, tens of MiB of memory in all; may be left early. Throws as `packWeight` and the file system. */
export function writePackedFile(
  path: string,
  checkpoint: OpenedCheckpoint,
  { packed, threads }: PackedFileOptions,
): AsyncGenerator<WriteProgress> {
  const { header, tensors } = planPackedFile(checkpoint, packed);
  return writeSafetensors(path, header, tensors, (tensor) => roundedParts(checkpoint, tensor, threads));
}

/** The bytes of a tensor of the file, one after the other: a matrix rounded to nearest, a vector as it is. */
export async function* roundedParts(
  { plan }: OpenedCheckpoint,
  { weight, packing }: PackedTensor,
  threads: number,
): AsyncGenerator<Uint8Array> {
  const file = plan.files[weight.file];
  if (!file) throw new RangeError(`The plan has no file ${weight.file}.`);
  if (!packing) {
    yield new Uint8Array(readVector(file.path, weight).buffer);
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

/** A vector of a checkpoint: float32 holds every number of the other types. */
export function readVector(path: string, weight: WeightPlan): Float32Array {
  const { dtype, offset } = weight;
  const bytes = withFile(path, (source) => source.read(offset, weightBytes(weight)));
  const size = dtype === "F32" ? 4 : 2;
  return Float32Array.from({ length: bytes.length / size }, (_, i) => {
    if (dtype === "F32") return bytes.readFloatLE(4 * i);
    if (dtype === "F16") return fromF16(bytes.readUInt16LE(2 * i));
    return new Float32Array(Uint32Array.of(bytes.readUInt16LE(2 * i) << 16).buffer)[0] ?? 0;
  });
}
