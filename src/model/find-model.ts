/** From what a user calls a model to the folder or file it is in. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ModelNotFoundError } from "../errors.ts";
import { cachedSnapshot } from "./huggingface-cache.ts";
import { hasSafetensors } from "./safetensors.ts";

/** A model on disk. */
export interface ModelLocation {
  /** The folder's name, or the file's without `.gguf`. */
  readonly name: string;
  readonly format: "safetensors" | "gguf";
  /** The folder for `safetensors`, the file for `gguf`. */
  readonly path: string;
}

/** The package's own models, seen from src/model and dist/model alike. */
export const packageModels = fileURLToPath(new URL("../../models", import.meta.url));

/**
 * Finds `reference`: a folder with config.json and safetensors, a folder with one .gguf, a .gguf file, or the name of
 * such a folder or file in $MINICPM_MODELS or in this package's models/, or ORG/NAME in the Hugging Face cache.
 *
 * @throws ModelNotFoundError listing every place looked at.
 */
export function findModel(reference: string): ModelLocation {
  const searched: string[] = [];
  for (const place of places(reference)) {
    const found = modelAt(place);
    if (typeof found === "object") return { ...found, name: nameOf(found) };
    searched.push(`${place} (${found})`);
  }
  throw new ModelNotFoundError(reference, searched);
}

function places(reference: string): string[] {
  if (reference === "") return [];
  const path = resolve(reference);
  if (isAbsolute(reference) || /^\.\.?([\\/]|$)/.test(reference)) return [path];
  const shelves = [process.env.MINICPM_MODELS, packageModels].filter((shelf) => shelf);
  const cached = cachedSnapshot(reference);
  return [
    path,
    ...shelves.map((shelf) => join(shelf as string, reference)),
    ...(cached === undefined ? [] : [cached]),
  ];
}

/** A snapshot in the Hugging Face cache is called as its repository, not by its revision. */
function nameOf({ name, path }: ModelLocation): string {
  const repository = /[\\/]models--(?:[^\\/]*--)?([^\\/]+)[\\/]snapshots[\\/][^\\/]+[\\/]?$/.exec(path)?.[1];
  return repository ?? name;
}

/** The model at a path, or why there is none. */
function modelAt(path: string): ModelLocation | string {
  if (!existsSync(path)) return existsSync(`${path}.gguf`) ? gguf(`${path}.gguf`) : "not there";
  if (!statSync(path).isDirectory()) return path.endsWith(".gguf") ? gguf(path) : "not a .gguf file";
  if (existsSync(join(path, "config.json")) && hasSafetensors(path)) {
    return { name: basename(path), format: "safetensors", path };
  }
  const files = readdirSync(path).filter((name) => name.endsWith(".gguf"));
  if (files.length === 1) return { ...gguf(join(path, files[0] as string)), name: basename(path) };
  if (files.length > 1) return "several .gguf files: name one";
  const fetch = join(path, "fetch");
  return existsSync(fetch)
    ? `not fetched yet: run ${fetch}`
    : "no config.json with model.safetensors, no .gguf";
}

function gguf(path: string): ModelLocation {
  return { name: basename(path, ".gguf"), format: "gguf", path };
}
