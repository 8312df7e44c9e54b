/** From a model's name to everything that the native side and the chat need, read from headers and small files only. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ModelPlan } from "../native/binding.ts";
import { withFile } from "./byte-source.ts";
import { huggingFaceNaming, mapTensors } from "./checkpoint.ts";
import { type ModelConfig, nativeConfig } from "./config.ts";
import { findModel, type ModelLocation } from "./find-model.ts";
import {
  type GenerationConfig,
  parseGenerationConfig,
  parseHuggingFaceConfig,
} from "./huggingface-config.ts";
import { readJson } from "./json-fields.ts";
import { openSafetensors } from "./safetensors.ts";

/** The numbers and weights of a model, without its tokenizer. */
export interface OpenedCheckpoint extends ModelLocation {
  readonly config: ModelConfig;
  /** Spread into a `ModelPlan` beside device, threads, kvType and isa. */
  readonly plan: Pick<ModelPlan, "config" | "files" | "weights">;
  /** The head is the embedding. */
  readonly tiedHead: boolean;
  /** Tensors in the files that the model has no use for. */
  readonly unknownTensors: readonly string[];
  /** Defaults that the model brings for sampling; empty where it brings none. */
  readonly generationConfig: GenerationConfig;
}

/**
 * Reads a model's headers: config, weights and generation defaults.
 *
 * @param reference a path or a name, see {@link findModel}
 * @throws ModelNotFoundError, CheckpointError, UnsupportedError
 */
export function openCheckpoint(reference: string): OpenedCheckpoint {
  const location = findModel(reference);
  return openFolder(location);
}

function openFolder(location: ModelLocation): OpenedCheckpoint {
  const folder = location.path;
  const config = parseHuggingFaceConfig(...jsonFile(folder, "config.json"));
  const set = openSafetensors(folder);
  const { weights, tiedHead, unknownTensors } = mapTensors(config, set, huggingFaceNaming);
  const hasDefaults = existsSync(join(folder, "generation_config.json"));
  return {
    ...location,
    config,
    plan: { config: nativeConfig(config), files: set.files, weights },
    tiedHead,
    unknownTensors,
    generationConfig: hasDefaults
      ? parseGenerationConfig(...jsonFile(folder, "generation_config.json"), config.vocabSize)
      : {},
  };
}

function jsonFile(folder: string, name: string): [path: string, json: unknown] {
  const path = join(folder, name);
  return [path, withFile(path, readJson)];
}
