/** A Hugging Face folder as one GGUF file that llama.cpp and what is built on it run. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { AbortError, OptionError, UnsupportedError } from "../errors.ts";
import { writeCheckpointGguf } from "../gguf/checkpoint-gguf.ts";
import type { EncodedType } from "../gguf/quant-blocks.ts";
import { openModel } from "../model/load.ts";
import { storing } from "../quantize/storing.ts";
import { vocabularyMetadata } from "./gguf-vocabulary.ts";

export const ggufTypes = ["F16", "Q8_0", "Q4_0"] as const;

export type GgufType = (typeof ggufTypes)[number];

export interface ToGgufOptions {
  /** What the layers' matrices become; with Q4_0 head and embedding become Q8_0. */
  readonly type: GgufType;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of tensors. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

export interface Converted {
  /** The file, as an absolute path. */
  readonly path: string;
  readonly bytes: number;
}

/**
 * Writes `out`, which appears whole or not at all, with the tokenizer and chat template of the folder.
 *
 * @throws ModelNotFoundError, CheckpointError; UnsupportedError for a GGUF, packed weights, or what GGUF has no words for
 * @throws OptionError where `out` is there already, StorageError where the disk is full or not to be written
 * @throws AbortError when `signal` fires
 */
export async function toGguf(
  reference: string,
  out: string,
  { type, signal, onProgress = () => {} }: ToGgufOptions,
): Promise<Converted> {
  const model = openModel(reference);
  if (model.format === "gguf") {
    throw new UnsupportedError(`A GGUF from a GGUF (${model.path})`, "Convert it to a folder first.");
  }
  if (model.packed) {
    throw new UnsupportedError(
      `A GGUF of packed weights (${model.path})`,
      "Dequantize it to a folder first.",
    );
  }
  const path = resolve(out);
  if (existsSync(path)) throw new OptionError("OUT", "a file that is not there yet", path);
  const head: EncodedType = type === "Q4_0" ? "Q8_0" : type;
  const part = `${path}.${process.pid}.unfinished`;
  return await storing(path, async () => {
    try {
      let asked = performance.now();
      const options = { matrices: type, head, metadata: vocabularyMetadata(model) };
      for (const progress of writeCheckpointGguf(part, model, options)) {
        if (performance.now() - asked < 50) continue;
        onProgress(progress);
        await setImmediate(); // Ctrl-C is heard here
        if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
        asked = performance.now();
      }
      sync(part);
      renameSync(part, path);
      return { path, bytes: statSync(path).size };
    } finally {
      rmSync(part, { force: true });
    }
  });
}

function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
