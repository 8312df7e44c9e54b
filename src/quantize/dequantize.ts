/** A model whose weights are packed or quantized, or in a GGUF, as an ordinary Hugging Face folder. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { AbortError, OptionError, UnsupportedError } from "../errors.ts";
import { isArrayType } from "../model/array-types.ts";
import { huggingFaceNames } from "../model/checkpoint.ts";
import { toBf16, toF16 } from "../model/half.ts";
import { openCheckpoint } from "../model/load.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { weightElements } from "../model/weight-size.ts";
import { addon, type WeightPlan } from "../native/binding.ts";
import { modelTexts } from "./model-texts.ts";
import { readVector } from "./packed-file.ts";
import { safetensorsHeader, type WriteProgress, writeSafetensors } from "./safetensors-file.ts";
import { refuseFull, storing } from "./storing.ts";
import { unfinishedFolder } from "./unfinished-folder.ts";

/** Types that weights are written as. */
export const plainTypes = ["BF16", "F16", "F32"] as const;

export type PlainType = (typeof plainTypes)[number];

export interface DequantizeOptions {
  /** F32 holds every packed weight exactly. Default: BF16. */
  readonly type?: PlainType | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: WriteProgress) => void;
}

export interface Dequantized {
  /** The folder, as an absolute path. */
  readonly path: string;
  readonly bytes: number;
}

/** Numbers read at once, about. */
const partNumbers = 2 ** 23;

/**
 * Writes the weights of a model, packed, quantized or plain, as one `model.safetensors`, with config, tokenizer and chat
 * template beside it. The folder appears whole or not at all; memory stays at some tens of MiB.
 *
 * @param reference as for `openModel`
 * @throws ModelNotFoundError, CheckpointError; UnsupportedError for a GGUF whose vocabulary we do not have, and for GPTQ,
 *   AWQ and Marlin checkpoints
 * @throws OptionError where `out` is there already, StorageError where the disk is full or not to be written
 * @throws AbortError when `signal` fires; what was written is removed.
 */
export async function dequantize(
  reference: string,
  out: string,
  { type = "BF16", signal, onProgress = () => {} }: DequantizeOptions = {},
): Promise<Dequantized> {
  const checkpoint = openCheckpoint(reference);
  refuseArrays(checkpoint);
  const writeTexts = modelTexts(checkpoint);
  const path = resolve(out);
  if (existsSync(path) && !(statSync(path).isDirectory() && readdirSync(path).length === 0)) {
    throw new OptionError("OUT", "a folder that is not there yet", path);
  }
  return await storing(path, async () => {
    const folder = unfinishedFolder(path);
    try {
      const file = join(folder.path, "model.safetensors");
      for await (const progress of writePlainFile(file, checkpoint, type)) {
        if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
        onProgress(progress);
      }
      writeTexts(folder.path);
      const bytes = statSync(file).size;
      folder.finish();
      return { path, bytes };
    } finally {
      folder.remove();
    }
  });
}

function refuseArrays({ path, plan }: OpenedCheckpoint): void {
  const [name] = Object.entries(plan.weights).find(([, { dtype }]) => isArrayType(dtype)) ?? [];
  if (name === undefined) return;
  throw new UnsupportedError(
    `Dequantizing ${path}, whose ${name} lies in arrays (GPTQ, AWQ or Marlin)`,
    "Take the model that it was made from.",
  );
}

function writePlainFile(
  path: string,
  checkpoint: OpenedCheckpoint,
  type: PlainType,
): AsyncGenerator<WriteProgress> {
  const { plan, config, tiedHead } = checkpoint;
  const names = huggingFaceNames(config, tiedHead);
  const size = type === "F32" ? 4 : 2;
  const tensors = Object.entries(plan.weights).map(([ours, weight]) => {
    const bytes = size * weightElements(weight);
    return { name: names.get(ours) ?? ours, dtype: type, shape: weight.shape, weight, bytes };
  });
  const header = safetensorsHeader(tensors, { format: "pt" });
  refuseFull(
    path,
    tensors.reduce((sum, { bytes }) => sum + bytes, header.length),
  );
  return writeSafetensors(path, header, tensors, ({ weight }) => plainParts(checkpoint, weight, type));
}

/** The numbers of a weight, in our order of rows. */
async function* plainParts(
  { plan }: OpenedCheckpoint,
  weight: WeightPlan,
  type: PlainType,
): AsyncGenerator<Uint8Array> {
  const file = plan.files[weight.file];
  if (!file) throw new RangeError(`The plan has no file ${weight.file}.`);
  const [rows = 0, columns] = weight.shape;
  if (columns === undefined) {
    yield plainVector(readVector(file.path, weight), type);
    return;
  }
  const most = Math.max(1, Math.floor(partNumbers / columns));
  for (let firstRow = 0; firstRow < rows; firstRow += most) {
    const part = { type, firstRow, rows: Math.min(most, rows - firstRow) };
    yield await addon().readWeight(file, { ...weight, file: 0 }, part);
  }
}

function plainVector(numbers: Float32Array, type: PlainType): Uint8Array {
  if (type === "F32") return new Uint8Array(numbers.buffer);
  const bits = new Uint32Array(numbers.buffer);
  return new Uint8Array(Uint16Array.from(bits, type === "F16" ? toF16 : toBf16).buffer);
}
