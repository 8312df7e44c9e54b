/** Models that Hugging Face's tools have downloaded: `models--ORG--NAME/snapshots/REVISION` in their cache. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`, as Hugging Face's own tools do. */
export function huggingFaceCache(env: Environment = process.env): string {
  return resolve(env.HF_HUB_CACHE || join(env.HF_HOME || join(homedir(), ".cache", "huggingface"), "hub"));
}

/** The repositories in the cache, as `ORG/NAME`. */
export function cachedRepositories(env: Environment = process.env): string[] {
  const folders = names(huggingFaceCache(env)).filter((name) => name.startsWith("models--"));
  return folders.map((name) => name.slice("models--".length).replace("--", "/")).sort();
}

/** The snapshot of `ORG/NAME` that `main` stands for, else its newest; undefined for what is no repository's name. */
export function cachedSnapshot(repository: string, env: Environment = process.env): string | undefined {
  if (!/^[\w.-]+\/[\w.-]+$/.test(repository) || repository.includes("..")) return undefined;
  const folder = join(huggingFaceCache(env), `models--${repository.replace("/", "--")}`);
  const snapshots = join(folder, "snapshots");
  const revisions = names(snapshots);
  const main = textOf(join(folder, "refs", "main")).trim();
  const time = (revision: string) => statSync(join(snapshots, revision)).mtimeMs;
  const newest = () => revisions.toSorted((a, b) => time(b) - time(a))[0];
  const revision = revisions.includes(main) ? main : newest();
  return revision === undefined ? folder : join(snapshots, revision);
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not there, or not for us to read
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
