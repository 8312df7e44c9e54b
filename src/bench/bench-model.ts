/** A model as benches want it: weights and numbers, no tokenizer, nothing kept for later prompts. */
import { chooseDevice } from "../chat/device.ts";
import { type SpillOptions, spillOf } from "../chat/kv-spill.ts";
import { type PackOptions, packingOf } from "../chat/packing.ts";
import { checkKvType } from "../model/config.ts";
import { openCheckpoint } from "../model/load.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { checkPackable } from "../model/packed-model.ts";
import { extendRope, type RopeMode } from "../model/rope-extension.ts";
import { chooseSparse, type SparseMode } from "../model/sparse-rule.ts";
import { weightBytes, weightElements } from "../model/weight-size.ts";
import {
  addon,
  type KvType,
  type MachineLimits,
  type ModelPlan,
  type NativeDevice,
  type NativeModel,
  type WeightPlan,
} from "../native/binding.ts";
import { publicError, withPublicErrors } from "../native/error-table.ts";
import { type ModelCost, modelCost } from "./cost.ts";

export interface BenchLoadOptions extends PackOptions, SpillOptions {
  readonly device: NativeDevice;
  /** Default: one a physical core. */
  readonly threads?: number | undefined;
  readonly kvType: KvType;
  /** Default: "auto", as the model was trained. */
  readonly sparse?: SparseMode | undefined;
  /** Default: "native". */
  readonly rope?: RopeMode | undefined;
  /** Called with bytes of weights loaded, of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface BenchModel {
  readonly checkpoint: OpenedCheckpoint;
  readonly native: NativeModel;
  readonly kvType: KvType;
  readonly cost: ModelCost;
  /** Tokens beyond which attention is sparse; absent where it never is. */
  readonly denseLength?: number | undefined;
  /** Name, and type of most weights: "nano BF16". */
  readonly title: string;
  /** Weights in the files, whatever is made of them at load. */
  readonly bytes: number;
  readonly parameters: number;
  /** The processor's or the card's own name. */
  readonly processor: string;
  /** The card's; absent where the machine's are measured. */
  readonly limits?: MachineLimits | undefined;
}

/**
 * Loads `reference` (src/model/find-model.ts says what can be one); a folder without a tokenizer will do. MINICPM_CPU
 * forces an instruction set. Whoever called disposes `native`.
 *
 * @param name shown instead of the folder's or file's.
 * @throws ModelNotFoundError, CheckpointError, UnsupportedError, AddonNotFoundError, DeviceError, OutOfMemoryError
 */
export async function loadBenchModel(
  reference: string,
  {
    device,
    threads = 0,
    kvType,
    sparse = "auto",
    rope = "native",
    kvSpill,
    kvMemoryBytes,
    onProgress,
    ...packing
  }: BenchLoadOptions,
  name?: string,
): Promise<BenchModel> {
  const checkpoint = openCheckpoint(reference);
  const isa = device === "cpu" ? (process.env.MINICPM_CPU ?? "") : "";
  checkKvType(kvType, checkpoint.config);
  const { rule } = chooseSparse(checkpoint.path, checkpoint.config, sparse);
  const { longRope } = extendRope(checkpoint.path, checkpoint.config, rope);
  const config = { ...checkpoint.plan.config, ...(longRope && { longRope }), sparse: rule };
  const { plugin, freeBytes } = chooseDevice(device, kvSpill === undefined ? undefined : "kvSpill");
  const place = { device, plugin, threads, kvType, isa, cacheBytes: 0, ...packingOf(packing, checkpoint) };
  const devices = withPublicErrors(() =>
    plugin === undefined ? addon().devices() : addon().pluginDevices(plugin),
  );
  const machine = devices.find((each) => each.name === device);
  const spill = spillOf({ kvSpill, kvMemoryBytes }, rule, freeBytes);
  const plan = { ...checkpoint.plan, config, ...place, ...spill };
  checkPackable(plan);
  const native = await withPublicErrors(() => addon().loadModel(plan, onProgress)).catch((error) => {
    throw publicError(error);
  });
  const weights = Object.values(plan.weights);
  return {
    checkpoint,
    native,
    kvType,
    cost: modelCost(plan, kvType),
    denseLength: rule?.denseLength,
    title: planTitle(name ?? checkpoint.name, plan),
    bytes: weights.reduce((sum, weight) => sum + weightBytes(weight), 0),
    parameters: weights.reduce((sum, weight) => sum + weightElements(weight), 0),
    processor: machine?.description ?? "",
    limits: machine?.limits,
  };
}

/** The name, with what the weights are as they run: "nano w4 g128 a8" where they are packed, else `titleOf`. */
export function planTitle(
  name: string,
  { weights, pack, activations }: Pick<ModelPlan, "weights" | "pack" | "activations">,
): string {
  if (!pack) return titleOf(name, Object.values(weights));
  return `${name} ${pack.format} g${pack.group} a${activations === "int8" ? 8 : 32}`;
}

/** The name, with the type of most weights where it does not say that itself. */
export function titleOf(name: string, weights: readonly WeightPlan[]): string {
  const byType = new Map<string, number>();
  for (const weight of weights) {
    byType.set(weight.dtype, (byType.get(weight.dtype) ?? 0) + weightElements(weight));
  }
  const [most] = [...byType].sort(([, a], [, b]) => b - a);
  return most && !name.toUpperCase().includes(most[0]) ? `${name} ${most[0]}` : name;
}
