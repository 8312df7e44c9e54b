/** Models on this machine, for doctor: the package's, $MINICPM_MODELS', and the Hugging Face cache's. */
import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { findModel } from "../model/find-model.ts";
import { packageModels } from "./default-model.ts";

export interface FoundModel {
  /** As a command takes it: a name where that is enough, else a path. */
  readonly reference: string;
  readonly format: string;
  readonly path: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function modelsFound(env: Environment = process.env): FoundModel[] {
  const shelves = [packageModels, ...(env.MINICPM_MODELS ? [env.MINICPM_MODELS] : [])];
  const named = shelves.flatMap((shelf) =>
    names(shelf).flatMap((name) => modelAt(join(shelf, name), name.replace(/\.gguf$/, ""))),
  );
  return [...named, ...cachedModels(huggingFaceCache(env))];
}

/** `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`, as Hugging Face's own tools do. */
export function huggingFaceCache(env: Environment): string {
  if (env.HF_HUB_CACHE) return env.HF_HUB_CACHE;
  return join(env.HF_HOME || join(homedir(), ".cache", "huggingface"), "hub");
}

/** Snapshots of `models--ORG--NAME` folders that are models we can read. */
function cachedModels(cache: string): FoundModel[] {
  return names(cache)
    .filter((name) => name.startsWith("models--"))
    .flatMap((name) => {
      const snapshots = join(cache, name, "snapshots");
      return names(snapshots).flatMap((revision) => modelAt(join(snapshots, revision)));
    });
}

function modelAt(path: string, reference = path): FoundModel[] {
  try {
    const found = findModel(path);
    return [{ reference, format: found.format, path: found.path }];
  } catch {
    return []; // no model, or a folder that may not be read
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
