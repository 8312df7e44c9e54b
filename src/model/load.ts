/** From a model's name to everything that the native side and the chat need, read from headers and small files only. */
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
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
  const opened = { ...checkpoint, ...readText() };
  checkTokenizer(opened);
  return opened;
}

/** Opens config and weights only: a folder without a tokenizer will do. Throws as `openModel`. */
export function openCheckpoint(reference: string): OpenedCheckpoint {
  return read(reference).checkpoint;
}

/** A tokenizer of another model gives tokens that this one has no embedding for, or never ends. */
function checkTokenizer({ path, format, config, tokenizer, stopTokens }: OpenedModel): void {
  const file = format === "gguf" ? path : join(path, "tokenizer.json");
  const { vocabSize } = tokenizer;
  const least = Math.max(vocabSize, ...tokenizer.prefix.map((id) => id + 1));
  if (least > config.vocabSize) {
    const expected = `at most the ${config.vocabSize} tokens of the config`;
    throw new CheckpointError(file, "", expected, `${least} tokens`);
  }
  if (stopTokens.length === 0 || stopTokens.some((id) => tokenizer.idToToken(id) !== undefined)) return;
  const ids = [...stopTokens].join(", ");
  throw new CheckpointError(
    file,
    "",
    `a token that ends an answer (${ids})`,
    `${vocabSize} tokens without it`,
  );
}

function read(reference: string): ModelReader {
  const location = findModel(reference);
  return location.format === "gguf" ? openGguf(location) : openFolder(location);
}
