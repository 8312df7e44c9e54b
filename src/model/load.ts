/** From a model's name to everything that the native side and the chat need, read from headers and small files only. */
import { findModel } from "./find-model.ts";
import { openGguf } from "./gguf-model.ts";
import { openFolder } from "./huggingface-folder.ts";
import type { ModelReader, OpenedCheckpoint, OpenedModel } from "./opened-model.ts";

/**
 * Opens a model: config, weights, tokenizer, chat template and generation defaults.
 *
 * @param reference a path or a name, see {@link findModel}
 * @throws ModelNotFoundError, CheckpointError, UnsupportedError
 */
export function openModel(reference: string): OpenedModel {
  const { checkpoint, readText } = read(reference);
  return { ...checkpoint, ...readText() };
}

/** Opens config and weights only: a folder without a tokenizer will do. Throws as `openModel`. */
export function openCheckpoint(reference: string): OpenedCheckpoint {
  return read(reference).checkpoint;
}

function read(reference: string): ModelReader {
  const location = findModel(reference);
  return location.format === "gguf" ? openGguf(location) : openFolder(location);
}
