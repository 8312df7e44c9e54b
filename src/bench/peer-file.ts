/** The GGUF file that another engine runs: the model's own, or one written from its weights. */
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { AbortError } from "../errors.ts";
import { writeCheckpointGguf } from "../gguf/checkpoint-gguf.ts";
import { type EncodedType, encodedBytes } from "../gguf/quant-blocks.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { weightBytes, weightElements } from "../model/weight-size.ts";
import type { PackFormat } from "../native/binding.ts";
import { titleOf } from "./bench-model.ts";
import type { SeededProgress } from "./seeded-checkpoint.ts";

/** What matrices and head become. */
export interface PeerWeights {
  readonly matrices: EncodedType;
  readonly head: EncodedType;
}

/** By the name of llama-quantize's mix: Q4_0 and TQ2_0 come with a Q6_K head there. */
export function peerWeights(type: Exclude<EncodedType, "Q6_K">): PeerWeights {
  return { matrices: type, head: type === "Q4_0" || type === "TQ2_0" ? "Q6_K" : type };
}

const beside = { w8: "Q8_0", w4: "Q4_0", w2: "TQ2_0" } as const;

/** What llama.cpp has beside our packed weights: the type with as many bits. */
export function peerWeightsBeside(format: PackFormat): PeerWeights {
  return peerWeights(beside[format]);
}

export interface PeerFile {
  readonly path: string;
  /** Name and types: "minicpm4-0.5b Q4_0, head Q6_K". */
  readonly title: string;
  /** Of the layers' matrices and the head. */
  readonly weightBytes: number;
}

export interface PeerFileOptions {
  readonly name: string;
  /** Absent: the file as it is, which has to be a GGUF. */
  readonly weights?: PeerWeights | undefined;
  /** Where it is written; one of the same weights that is there already is taken. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (progress: SeededProgress) => void;
}

/** @throws AbortError when `signal` fires, and as `writeCheckpointGguf`. */
export async function peerFile(
  checkpoint: OpenedCheckpoint,
  { name, weights, folder, signal, onProgress }: PeerFileOptions,
): Promise<PeerFile> {
  if (!weights) {
    const plans = Object.values(checkpoint.plan.weights);
    return { path: checkpoint.path, title: titleOf(name, plans), weightBytes: readBytes(checkpoint) };
  }
  const { matrices, head } = weights;
  const path = join(folder, `peer-${matrices}-${head}.gguf`);
  const found = {
    path,
    title: matrices === head ? `${name} ${matrices}` : `${name} ${matrices}, head ${head}`,
    weightBytes: readBytes(checkpoint, weights),
  };
  if (existsSync(path)) return found;
  const part = `${path}.part`;
  try {
    let asked = performance.now();
    for (const progress of writeCheckpointGguf(part, checkpoint, weights)) {
      if (performance.now() - asked < 50) continue;
      onProgress(progress);
      await setImmediate(); // Ctrl-C is heard here
      if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
      asked = performance.now();
    }
    renameSync(part, path);
    return found;
  } finally {
    rmSync(part, { force: true });
  }
}

/** Bytes of weights that a token reads: the layers' matrices and the head. */
function readBytes({ plan, tiedHead }: OpenedCheckpoint, weights?: PeerWeights): number {
  const headName = tiedHead ? "embed" : "head";
  const sizes = Object.entries(plan.weights).map(([name, weight]) => {
    const isHead = name === headName;
    if (!isHead && !(name.startsWith("layers.") && weight.shape.length === 2)) return 0;
    if (!weights) return weightBytes(weight);
    return encodedBytes(isHead ? weights.head : weights.matrices, weightElements(weight));
  });
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
