/** Models of a known shape with random weights: to measure without weights. Speed does not depend on their values. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statfsSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { AbortError, OptionError } from "../errors.ts";
import { withFile } from "../model/byte-source.ts";
import { parseHuggingFaceConfig } from "../model/huggingface-config.ts";
import { isObject, readJson } from "../model/json-fields.ts";
import { nativeFactors } from "../model/rope-extension.ts";
import { type SeededConfig, type SeededProgress, seededCheckpointSteps } from "./seeded-checkpoint.ts";

export interface Shape {
  readonly name: string;
  readonly config: SeededConfig;
}

/** What MiniCPM4's released models have in common. */
const minicpm4 = {
  architectures: ["MiniCPMForCausalLM"],
  model_type: "minicpm",
  hidden_act: "silu",
  attention_bias: false,
  vocab_size: 73448,
  max_position_embeddings: 32768,
  scale_emb: 12,
  scale_depth: 1.4,
  dim_model_base: 256,
  bos_token_id: 1,
  eos_token_id: [2, 73440],
  torch_dtype: "bfloat16",
};

/** What Qwen3's dense models have in common. */
const qwen3 = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_act: "silu",
  attention_bias: false,
  use_sliding_window: false,
  vocab_size: 151936,
  head_dim: 128,
  num_key_value_heads: 8,
  max_position_embeddings: 40960,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  bos_token_id: 151643,
  eos_token_id: 151645,
  torch_dtype: "bfloat16",
};

/** Dimensions of released models, by name. */
export const knownShapes: ReadonlyMap<string, SeededConfig> = new Map([
  [
    "minicpm4-0.5b",
    {
      ...minicpm4,
      hidden_size: 1024,
      intermediate_size: 4096,
      num_hidden_layers: 24,
      num_attention_heads: 16,
      num_key_value_heads: 2,
      rms_norm_eps: 1e-5,
      tie_word_embeddings: true,
    },
  ],
  [
    "minicpm4-8b",
    {
      ...minicpm4,
      hidden_size: 4096,
      intermediate_size: 16384,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 2,
      rms_norm_eps: 1e-6,
      tie_word_embeddings: false,
      rope_scaling: {
        rope_type: "longrope",
        long_factor: nativeFactors(32768),
        short_factor: nativeFactors(32768),
        original_max_position_embeddings: 32768,
      },
    },
  ],
  [
    "qwen3-0.6b",
    {
      ...qwen3,
      hidden_size: 1024,
      intermediate_size: 3072,
      num_hidden_layers: 28,
      num_attention_heads: 16,
      tie_word_embeddings: true,
    },
  ],
  [
    "qwen3-8b",
    {
      ...qwen3,
      hidden_size: 4096,
      intermediate_size: 12288,
      num_hidden_layers: 36,
      num_attention_heads: 32,
      tie_word_embeddings: false,
    },
  ],
]);

/** The MiniCPM4 shape that is as large as a shape of another family. */
export const sameSize: ReadonlyMap<string, string> = new Map([
  ["qwen3-0.6b", "minicpm4-0.5b"],
  ["qwen3-8b", "minicpm4-8b"],
]);

/**
 * @param reference a known shape's name, or the path of a config.json
 * @throws OptionError where it is neither, CheckpointError and UnsupportedError where the config.json does not run.
 */
export function findShape(reference: string): Shape {
  const known = knownShapes.get(reference.toLowerCase());
  if (known) return { name: reference.toLowerCase(), config: known };
  const path = resolve(reference);
  if (!path.endsWith(".json") || !existsSync(path)) {
    throw new OptionError("shape", `${[...knownShapes.keys()].join(", ")} or a config.json file`, reference);
  }
  const json = withFile(path, readJson);
  const { kvHeads, headDim, tiedHead, architecture } = parseHuggingFaceConfig(path, json);
  const config = {
    ...(isObject(json) && json),
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    // As in the classes of transformers where the file does not say.
    tie_word_embeddings: tiedHead ?? architecture.startsWith("MiniCPM"),
    sparse_config: undefined,
  } as unknown as SeededConfig;
  const folder = basename(dirname(path));
  return { name: basename(path) === "config.json" ? folder : basename(path, ".json"), config };
}

export interface WriteShapeOptions {
  /** Leave the folder for later runs, which then find it. */
  readonly keep: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: SeededProgress) => void;
}

export interface ShapeFolder {
  readonly path: string;
  /** It stays. */
  readonly kept: boolean;
  /** Removes it, unless it stays. A model that was loaded from it goes on. */
  remove(): void;
}

/**
 * A folder with the shape's config.json and seeded bfloat16 weights: one kept earlier, or a new one under the cache
 * folder, whole or not at all.
 *
 * @throws AbortError when `signal` fires; what was written is removed.
 */
export async function writeShape(
  { name, config }: Shape,
  { keep, signal, onProgress = () => {} }: WriteShapeOptions,
): Promise<ShapeFolder> {
  const cache = join(cacheFolder(), "shapes");
  const digest = createHash("sha256").update(JSON.stringify(config)).digest("hex").slice(0, 12);
  const final = join(cache, `${name}-${digest}`);
  if (existsSync(final)) return { path: final, kept: true, remove: () => {} };

  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const work = mkdtempSync(join(cache, "writing-"));
  const remove = () => rmSync(work, { recursive: true, force: true });
  try {
    let asked = performance.now();
    for (const progress of seededCheckpointSteps(work, config, { seed: 5, dtype: "BF16" })) {
      if (performance.now() - asked < 50) continue;
      refuseFull(cache, progress);
      onProgress(progress);
      await setImmediate(); // Ctrl-C is heard here
      if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
      asked = performance.now();
    }
    if (!keep) return { path: work, kept: false, remove };
    renameSync(work, final);
    return { path: final, kept: true, remove: () => {} };
  } catch (error) {
    remove();
    throw error;
  }
}

/** `$XDG_CACHE_HOME/minicpm`, by default under `~/.cache` (XDG base directory specification). */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const cache = env.XDG_CACHE_HOME;
  return join(cache && isAbsolute(cache) ? cache : join(homedir(), ".cache"), "minicpm");
}

/** @throws Error (ENOSPC) before the disk is full, where it would be. */
function refuseFull(folder: string, { done, total }: SeededProgress): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize > total - done) return;
  const message = `${total - done} bytes more do not fit the disk of ${folder}. Set XDG_CACHE_HOME to a folder on another.`;
  throw Object.assign(new Error(message), { code: "ENOSPC" });
}
