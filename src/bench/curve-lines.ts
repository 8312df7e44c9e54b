/** Which lines a model gives: sparse and dense, each way of holding keys and values, and another engine's. */
import { packingOf } from "../chat/packing.ts";
import { openCheckpoint } from "../model/load.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { chooseSparse, type SparseMode } from "../model/sparse-rule.ts";
import type { KvType } from "../native/binding.ts";
import { planTitle } from "./bench-model.ts";
import { modelCost } from "./cost.ts";
import type { CurveLine } from "./curve.ts";
import type { MiniCpmSpec } from "./engine.ts";
import { type PeerFileOptions, type PeerWeights, peerFile, peerWeightsBeside } from "./peer-file.ts";

export interface LineOptions {
  /** Folder or file of the model that runs, packed or not. */
  readonly path: string;
  readonly name: string;
  /** `auto`: dense, and sparse too where the model is a MiniCPM. */
  readonly sparse: SparseMode;
  /** Absent: f16, and int8 where heads allow it. */
  readonly kvType?: KvType | undefined;
  readonly load: Omit<MiniCpmSpec["load"], "sparse" | "kvType">;
  /** Longest length that is measured. */
  readonly most: number;
}

/** Ours: sparse before dense, f16 before int8. */
export function ownLines({ path, name, sparse, kvType, load, most }: LineOptions): CurveLine[] {
  const checkpoint = openCheckpoint(path);
  const { config } = checkpoint;
  const plan = { ...checkpoint.plan, ...packingOf(load, checkpoint) };
  const isFamily = /^minicpm/i.test(config.architecture);
  const modes: SparseMode[] = sparse === "auto" ? (isFamily ? ["on", "off"] : ["off"]) : [sparse];
  const kvTypes: KvType[] = kvType ? [kvType] : config.headDim % 32 === 0 ? ["f16", "int8"] : ["f16"];
  return modes.flatMap((mode) =>
    kvTypes.map((each): CurveLine => {
      const { rule } = chooseSparse(checkpoint.path, config, mode);
      return {
        model: planTitle(name, plan),
        engine: "minicpm",
        attention: rule ? "sparse" : "dense",
        kvType: each,
        sparseFrom: rule?.denseLength,
        most,
        spec: (threads) => ({
          kind: "minicpm",
          model: path,
          name,
          load: { ...load, threads, sparse: mode, kvType: each },
          profile: true,
        }),
      };
    }),
  );
}

export interface PeerLineOptions extends Pick<PeerFileOptions, "folder" | "signal" | "onProgress"> {
  readonly entry: string;
  /** Absent: as many bits as our packed weights have, or F16; a GGUF's own. */
  readonly weights?: PeerWeights | undefined;
}

/**
 * llama.cpp's, dense as it runs every model, keys and values as F16. It takes the memory of `most` tokens twice: with flash
 * attention and without.
 *
 * @param source the model before it was packed
 */
export async function llamaCppLine(
  source: OpenedCheckpoint,
  { name, load, most }: Pick<LineOptions, "name" | "load" | "most">,
  { entry, weights, folder, signal, onProgress }: PeerLineOptions,
): Promise<CurveLine> {
  const usual = load.pack ? peerWeightsBeside(load.pack) : ({ matrices: "F16", head: "F16" } as const);
  const chosen = weights ?? (source.format === "gguf" ? undefined : usual);
  const file = await peerFile(source, { name, weights: chosen, folder, signal, onProgress });
  const { kvBytes } = modelCost({ ...source.plan, ...packingOf({}, source) }, "f16");
  return {
    model: file.title,
    engine: "llama.cpp",
    attention: "dense",
    kvType: "f16",
    most,
    memoryBytes: (length) => file.weightBytes + kvBytes * length,
    spec: (threads) => ({
      kind: "llama.cpp",
      entry,
      model: file.path,
      threads,
      kvType: "f16",
      capacity: most + 512,
    }),
  };
}
