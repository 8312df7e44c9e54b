/** Models on this machine: the package's, $MINICPM_MODELS', and the Hugging Face cache's. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { findModel, packageModels } from "../model/find-model.ts";
import { cachedRepositories } from "../model/huggingface-cache.ts";

export interface FoundModel {
  /** As a command takes it: a name. */
  readonly reference: string;
  readonly format: string;
  readonly path: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function modelsFound(env: Environment = process.env): FoundModel[] {
  return [...modelsOn(packageModels), ...ownModelsFound(env)];
}

/** Those that the user has put there: no package's. */
export function ownModelsFound(env: Environment = process.env): FoundModel[] {
  const shelf = env.MINICPM_MODELS;
  const cached = cachedRepositories(env).flatMap((repository) => modelAt(repository, repository));
  return [...(shelf ? modelsOn(shelf) : []), ...cached];
}

/** Models of a folder, and of folders in it that are none, as `ORG/NAME`. */
function modelsOn(shelf: string): FoundModel[] {
  return names(shelf).flatMap((name) => {
    const reference = name.replace(/\.gguf$/, "");
    const found = modelAt(join(shelf, name), reference);
    if (found.length > 0) return found;
    return names(join(shelf, name))
      .filter((inner) => !inner.endsWith(".gguf"))
      .flatMap((inner) => modelAt(join(shelf, name, inner), `${reference}/${inner}`));
  });
}

function modelAt(place: string, reference: string): FoundModel[] {
  try {
    const { format, path } = findModel(place);
    return [{ reference, format, path }];
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
