/** A model made small once: a folder whose weights are packed, to be mapped as they are whenever it is loaded. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { AbortError, OptionError, UnsupportedError } from "../errors.ts";
import { isArrayType } from "../model/array-types.ts";
import { modelFingerprint } from "../model/fingerprint.ts";
import { openCheckpoint, openModel } from "../model/load.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { checkPackable, type PackedModel, type PackMethod, packedLayout } from "../model/packed-model.ts";
import { addon, type ModelComparison, type Packing } from "../native/binding.ts";
import { withPublicErrors } from "../native/error-table.ts";
import { windowTokens, writeCalibratedFile } from "./calibrated-file.ts";
import { calibrationText } from "./calibration-text.ts";
import { writeModelCard } from "./model-card.ts";
import { modelTexts } from "./model-texts.ts";
import { planPackedFile, writePackedFile } from "./packed-file.ts";
import { refuseFull, storing } from "./storing.ts";
import { unfinishedFolder } from "./unfinished-folder.ts";

export interface QuantizeOptions extends Packing {
  /** Default: {@link defaultMethod}. */
  readonly method?: PackMethod | undefined;
  /** A text like those that the model is to read. Default: one in English, Chinese and code, which comes with this package. */
  readonly calibration?: string | undefined;
  /** Most tokens of it that are read: time grows with them. Default: 32,768. */
  readonly calibrationTokens?: number | undefined;
  /** Threads that compute. Default: one a physical core. */
  readonly threads?: number | undefined;
  /** Replace a packed folder that is there. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: QuantizeProgress) => void;
}

/** `rtn` counts bytes that are written, the others layers. */
export interface QuantizeProgress {
  readonly done: number;
  readonly total: number;
}

export interface Quantized {
  /** The folder, as an absolute path. */
  readonly path: string;
  readonly sourceBytes: number;
  readonly bytes: number;
  /** How the answers have changed, on the end of the calibration text. Undefined for `rtn`. */
  readonly comparison?: ModelComparison;
}

export const defaultMethod: PackMethod = "rtn";

/** Windows at the end of the calibration text that the result is compared on. */
const heldOutWindows = 4;

/**
 * Rounds the weights of a Hugging Face folder or GGUF file (head and embedding to w8) and writes them as a folder that
 * `loadModel` maps. It appears whole or not at all.
 *
 *   rtn      to nearest, each group of weights for itself
 *   gptq     column by column, those with the largest inputs first, each making up for the errors of those before it, by
 *            what the calibration text makes of a layer's inputs (Frantar et al. 2023, arXiv:2210.17323); then scales and
 *            integers in turn, each to where the layer's outputs change least
 *   p-gptq   the same, with each token's inputs brought to one size first: those of a text's first positions, attention
 *            sinks, may be so large that nothing else counts. The MiniCPM4 report (arXiv:2506.07900) leaves these
 *            positions out, which ruins SmolLM2.
 *
 * Memory beside the mapped source: some tens of MiB for `rtn`. The others hold one layer at a time: 16 bytes for the
 * square of the widest layer input, 4 for each number of the calibration text's hidden states (for MiniCPM4-8B 4.3 GB
 * and 0.5 GB). A call that was ended goes on behind the last layer that it had finished, with the same options.
 *
 * @param reference as for `openModel`; for `rtn` a folder without a tokenizer will do
 * @throws ModelNotFoundError, CheckpointError; UnsupportedError for a packed model, rows that cannot be packed, or a GGUF
 *   whose vocabulary we do not have
 * @throws OptionError where `out` is there already, or the calibration text is too short
 * @throws StorageError where the disk is full or not to be written
 * @throws AbortError when `signal` fires; of `rtn` nothing is left then.
 */
export async function quantize(
  reference: string,
  out: string,
  {
    format,
    group,
    method = defaultMethod,
    calibration = calibrationText(),
    calibrationTokens = 32_768,
    threads,
    force = false,
    signal,
    onProgress = () => {},
  }: QuantizeOptions,
): Promise<Quantized> {
  const checkpoint = openCheckpoint(reference);
  refuseUnpackable(checkpoint, { format, group });
  const writeTexts = modelTexts(checkpoint);
  const path = resolve(out);
  if (existsSync(path)) refuseTaken(path, force);
  const packed: PackedModel = { format, group, method, source: sourceOf(checkpoint) };
  const tokens = method === "rtn" ? undefined : tokensOf(reference, calibration, calibrationTokens);
  const cores = threads ?? withPublicErrors(() => addon().devices()[0]?.cores ?? 1);

  return await storing(path, async () => {
    const folder = unfinishedFolder(path, tokens && purpose(packed, tokens));
    const file = join(folder.path, "model.safetensors");
    try {
      refuseFull(file, planPackedFile(checkpoint, packed).bytes);
      const progress = tokens
        ? writeCalibratedFile(file, checkpoint, {
            packed,
            tokens,
            evenOut: method === "p-gptq",
            heldOut: heldOutWindows,
            layersFile: folder.ownFile("layers"),
            threads: cores,
            signal,
          })
        : writePackedFile(file, checkpoint, { packed, threads: cores });
      const comparison = await drained(progress, signal, onProgress);
      const bytes = statSync(file).size;
      writeModelCard(folder.path, { checkpoint, packed, tokens: tokens?.length, comparison, bytes });
      writeTexts(folder.path);
      folder.finish();
      const sourceBytes = checkpoint.plan.files.reduce((sum, each) => sum + each.bytes, 0);
      return { path, sourceBytes, bytes, ...(comparison && { comparison }) };
    } catch (error) {
      if (existsSync(folder.ownFile("layers"))) folder.leave();
      throw signal?.aborted ? new AbortError(undefined, { cause: signal.reason }) : error;
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

function sourceOf({ name, plan }: OpenedCheckpoint): PackedModel["source"] {
  return { name, fingerprint: modelFingerprint({ ...plan, kvType: "f16", device: "cpu" }) };
}

/** Whole windows of the calibration text, at most `most` tokens; those held out, from all over the text, come last. */
function tokensOf(reference: string, calibration: string, most: number): Int32Array {
  const all = openModel(reference).tokenizer.encode(calibration);
  const windows = Math.floor(Math.min(all.length, most) / windowTokens);
  if (windows > heldOutWindows) {
    const numbers = Array.from({ length: windows }, (_, window) => window);
    const heldOut = new Set(
      Array.from({ length: heldOutWindows }, (_, i) => Math.floor(((i + 0.5) * windows) / heldOutWindows)),
    );
    const order = [...numbers.filter((window) => !heldOut.has(window)), ...heldOut];
    return Int32Array.from(
      order.flatMap((window) => [...all.subarray(window * windowTokens, (window + 1) * windowTokens)]),
    );
  }
  const least = (heldOutWindows + 1) * windowTokens;
  throw new OptionError(
    "calibration",
    `a text of at least ${least} tokens`,
    `${Math.min(all.length, most)} tokens`,
  );
}

/** Everything that the bytes of a layer depend on. */
function purpose(packed: PackedModel, tokens: Int32Array): string {
  const hash = createHash("sha256").update(tokens).digest("hex");
  return JSON.stringify({ ...packed, layout: packedLayout, calibration: hash });
}

/** What a generator returns at its end. */
async function drained<Result>(
  progress: AsyncGenerator<QuantizeProgress, Result>,
  signal: AbortSignal | undefined,
  onProgress: (progress: QuantizeProgress) => void,
): Promise<Result> {
  try {
    for (;;) {
      const step = await progress.next();
      if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
      if (step.done) return step.value;
      onProgress(step.value);
    }
  } finally {
    await progress.return(undefined as Result);
  }
}
