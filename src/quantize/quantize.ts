/** A model made small once: a folder whose weights are packed, to be mapped as they are whenever it is loaded. */
import { copyFileSync, existsSync, readdirSync, statfsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { AbortError, OptionError, StorageError, UnsupportedError } from "../errors.ts";
import { isArrayType } from "../model/array-types.ts";
import { modelFingerprint } from "../model/fingerprint.ts";
import { openCheckpoint } from "../model/load.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { checkPackable } from "../model/packed-model.ts";
import { addon, type Packing } from "../native/binding.ts";
import { publicError, withPublicErrors } from "../native/error-table.ts";
import { ggufTexts, writeTexts } from "./gguf-texts.ts";
import { packedFileBytes, type WriteProgress, writePackedFile } from "./packed-file.ts";
import { unfinishedFolder } from "./unfinished-folder.ts";

export interface QuantizeOptions extends Packing {
  /** Threads that pack. Default: one a physical core. */
  readonly threads?: number | undefined;
  /** Replace a packed folder that is there. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: WriteProgress) => void;
}

export interface Quantized {
  /** The folder, as an absolute path. */
  readonly path: string;
  readonly sourceBytes: number;
  readonly bytes: number;
}

/** What a packed folder takes over from the model's, as it is, where it is there. */
const textFiles = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
];

/**
 * Rounds the weights of a Hugging Face folder or GGUF file to nearest (head and embedding to w8) and writes them as a
 * folder that `loadModel` maps. It appears whole or not at all; memory stays at some tens of MiB beside the mapped source.
 *
 * @param reference as for `openModel`; a folder without a tokenizer will do
 * @throws ModelNotFoundError, CheckpointError; UnsupportedError for a packed model, rows that cannot be packed, or a GGUF
 *   whose vocabulary we do not have
 * @throws OptionError where `out` is there already, StorageError where the disk is full or not to be written
 * @throws AbortError when `signal` fires; what was written is removed.
 */
export async function quantize(
  reference: string,
  out: string,
  { format, group, threads, force = false, signal, onProgress = () => {} }: QuantizeOptions,
): Promise<Quantized> {
  const checkpoint = openCheckpoint(reference);
  refuseUnpackable(checkpoint, { format, group });
  const texts = checkpoint.format === "gguf" ? ggufTexts(checkpoint) : undefined;
  const path = resolve(out);
  if (existsSync(path)) refuseTaken(path, force);
  const total = packedFileBytes(checkpoint, { format, group });
  const cores = threads ?? withPublicErrors(() => addon().devices()[0]?.cores ?? 1);

  return await storing(path, async () => {
    const folder = unfinishedFolder(path);
    try {
      refuseFull(path, total);
      const source = { name: checkpoint.name, fingerprint: fingerprintOf(checkpoint) };
      const options = { packed: { format, group, source }, threads: cores };
      const file = join(folder.path, "model.safetensors");
      for await (const progress of writePackedFile(file, checkpoint, options)) {
        if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
        onProgress(progress);
      }
      if (texts) writeTexts(folder.path, texts);
      else copyTexts(checkpoint.path, folder.path);
      const bytes = statSync(file).size;
      folder.finish();
      return { path, sourceBytes: checkpoint.plan.files.reduce((sum, each) => sum + each.bytes, 0), bytes };
    } finally {
      folder.remove();
    }
  });
}

function refuseUnpackable(checkpoint: OpenedCheckpoint, pack: Packing): void {
  const { path, packed, plan } = checkpoint;
  if (packed) {
    const how = `${packed.format}, groups of ${packed.group}`;
    throw new UnsupportedError(
      `Packing ${path} again`,
      `It is packed (${how}): take ${packed.source.name}, which it was made from.`,
    );
  }
  const [inArrays] = Object.entries(plan.weights).find(([, { dtype }]) => isArrayType(dtype)) ?? [];
  if (inArrays !== undefined) {
    throw new UnsupportedError(
      `Packing ${path}, whose ${inArrays} is quantized`,
      "It runs as it is; to have other formats, take the model that it was made from.",
    );
  }
  checkPackable({ pack, weights: plan.weights });
}

/** `force` replaces what this command has made, and nothing else. */
function refuseTaken(path: string, force: boolean): void {
  const empty = statSync(path).isDirectory() && readdirSync(path).length === 0;
  if (empty || (force && isPackedFolder(path))) return;
  const remedy = isPackedFolder(path) ? " (or give --force)" : "";
  throw new OptionError("OUT", `a folder that is not there yet${remedy}`, path);
}

function isPackedFolder(path: string): boolean {
  try {
    return openCheckpoint(path).packed !== undefined;
  } catch {
    return false;
  }
}

function fingerprintOf({ plan }: OpenedCheckpoint): string {
  return modelFingerprint({ ...plan, kvType: "f16", device: "cpu" });
}

function copyTexts(from: string, to: string): void {
  const licenses = readdirSync(from).filter((name) => /^(LICENSE|NOTICE)/i.test(name));
  for (const name of [...textFiles, ...licenses]) {
    const file = join(from, name);
    if (existsSync(file) && statSync(file).isFile()) copyFileSync(file, join(to, name));
  }
}

/** What a large file comes to is known before: better to say so now than after minutes. */
function refuseFull(path: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(dirname(path));
  if (bavail * bsize < bytes) {
    throw new StorageError(path, `it takes ${bytes} bytes, and the disk has ${bavail * bsize}`);
  }
}

/** Errors of native code and of the file system as ours. */
async function storing<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
    const isDisk = ["ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS", "ENOTDIR", "EIO"].includes(code);
    if (isDisk) throw new StorageError(path, (error as Error).message, { cause: error });
    throw publicError(error);
  }
}
