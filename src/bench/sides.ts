/** The sides of a comparison before they run: which weights in which engine, and who is put beside whom. */

import { packingOf } from "../chat/packing.ts";
import { openCheckpoint } from "../model/load.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { planTitle } from "./bench-model.ts";
import { modelCost } from "./cost.ts";
import type { EngineSpec, MiniCpmSpec } from "./engine.ts";
import { type PeerWeights, peerFile, peerWeightsBeside } from "./peer-file.ts";
import type { SeededProgress } from "./seeded-checkpoint.ts";
import { type Workload, workloadHeld } from "./workload.ts";

export interface VersusModel {
  /** Folder or file. */
  readonly path: string;
  readonly name: string;
  /** Where files made from it may be written. */
  readonly scratch: string;
}

/** Another engine, found. */
export interface Peer {
  readonly engine: "llama.cpp" | "onnxruntime";
  /** Its package's entry. */
  readonly entry: string;
}

export interface SideOptions {
  /** Put beside ours. */
  readonly peer?: Peer | undefined;
  /**
   * What llama.cpp runs; absent: a GGUF model's own file, of others what has as many bits as our packed weights, or F16.
   */
  readonly peerWeights?: PeerWeights | undefined;
  readonly load: MiniCpmSpec["load"];
  readonly workloads: readonly Workload[];
  readonly signal?: AbortSignal | undefined;
  readonly onWrite: (what: string, progress: SeededProgress) => void;
}

export interface Side {
  /** Name and types of the weights. */
  readonly model: string;
  readonly engine: EngineSpec["kind"];
  /** Of weights that a token reads. */
  readonly weightBytes: number;
  /** Of what it holds: weights, and keys and values of the longest workload. */
  readonly memoryBytes: number;
  /** @param threads of the side that ran first */
  readonly spec: (threads: number) => EngineSpec;
}

/** Ours with this model, then the peer's where there is one. Throws as `peerFile`. */
export async function sidesOf(model: VersusModel, options: SideOptions): Promise<Side[]> {
  const { peer, load } = options;
  const checkpoint = openCheckpoint(model.path);
  const plan = { ...checkpoint.plan, ...packingOf(load, checkpoint) };
  const { linearBytes, headBytes, kvBytes } = modelCost(plan, load.kvType);
  const weightBytes = linearBytes + headBytes;
  const own: Side = {
    model: planTitle(model.name, plan),
    engine: "minicpm",
    weightBytes,
    memoryBytes: weightBytes + kvBytes * longest(options),
    spec: (threads) => ({
      kind: "minicpm",
      model: model.path,
      name: model.name,
      load: { ...load, threads },
    }),
  };
  if (!peer) return [own];
  return [
    own,
    await (peer.engine === "llama.cpp" ? llamaCppSide : onnxRuntimeSide)(model, checkpoint, peer, options),
  ];
}

/** Each model's engines against each other, then the models against each other in each engine. */
export function pairsOf(sides: readonly (readonly Side[])[]): [Side, Side][] {
  const engines = sides.flatMap(([own, peer]): [Side, Side][] => (own && peer ? [[own, peer]] : []));
  const [first, second] = sides;
  const models = (first ?? []).flatMap((side): [Side, Side][] => {
    const other = second?.find(({ engine }) => engine === side.engine);
    return other ? [[side, other]] : [];
  });
  return [...engines, ...models];
}

/** Tokens held at the end of the longest workload. */
function longest({ workloads }: SideOptions): number {
  return Math.max(...workloads.map(workloadHeld));
}

/** It holds weights twice, as they are in the file and in the order of its kernels, and a context for either flash attention. */
async function llamaCppSide(
  { name, scratch }: VersusModel,
  checkpoint: OpenedCheckpoint,
  { entry }: Peer,
  options: SideOptions,
): Promise<Side> {
  const { peerWeights, load, signal, onWrite } = options;
  const usual = load.pack ? peerWeightsBeside(load.pack) : ({ matrices: "F16", head: "F16" } as const);
  const file = await peerFile(checkpoint, {
    name,
    weights: peerWeights ?? (checkpoint.format === "gguf" ? undefined : usual),
    folder: scratch,
    signal,
    onProgress: (progress) => onWrite(`${name} for llama.cpp`, progress),
  });
  const capacity = longest(options);
  const { path, title, weightBytes } = file;
  const { kvBytes } = modelCost(checkpoint.plan, load.kvType);
  return {
    model: title,
    engine: "llama.cpp",
    weightBytes,
    memoryBytes: 2 * (weightBytes + kvBytes * capacity),
    spec: (threads) => ({ kind: "llama.cpp", entry, model: path, threads, kvType: load.kvType, capacity }),
  };
}

/** int4 with a float32 scale for 32 or 128: at least 4.25 bits. */
async function onnxRuntimeSide(
  { name, path }: VersusModel,
  { plan }: OpenedCheckpoint,
  { entry }: Peer,
  { load }: SideOptions,
): Promise<Side> {
  const { linearParameters, headParameters } = modelCost(plan, load.kvType);
  const weightBytes = ((linearParameters + headParameters) * 4.25) / 8;
  return {
    model: `${name} int4`,
    engine: "onnxruntime",
    weightBytes,
    memoryBytes: weightBytes,
    spec: (threads) => ({ kind: "onnxruntime", entry, model: path, threads }),
  };
}
