/** The safetensors file of a packed folder whose layers are rounded by GPTQ, layer by layer, in place. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import type { PackedModel } from "../model/packed-model.ts";
import {
  addon,
  type CalibrationSite,
  type ModelComparison,
  type ModelPlan,
  type PackFormat,
  type WeightPlan,
} from "../native/binding.ts";
import { type PackedFilePlan, type PackedTensor, planPackedFile, roundedParts } from "./packed-file.ts";
import { writeAll } from "./safetensors-file.ts";

/** Tokens of a window: what the forward pass takes at once. */
export const windowTokens = 512;

export interface CalibratedFileOptions {
  readonly packed: PackedModel;
  /** Windows of {@link windowTokens}. */
  readonly tokens: Int32Array;
  /** Every token counts alike in the Hessians, however large its inputs are. */
  readonly evenOut: boolean;
  /** Last windows, which the result is compared on. */
  readonly heldOut: number;
  /** A file that holds how many layers are finished. */
  readonly layersFile: string;
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
}

export interface CalibrationProgress {
  /** Layers done, of all; a part of one counts by its work. */
  readonly done: number;
  readonly total: number;
}

/** The linears that share an input, in the order in which they run, and the part of a layer's time behind each, about. */
const sites: readonly {
  readonly site: CalibrationSite;
  readonly matrices: readonly string[];
  readonly until: number;
}[] = [
  { site: "attention", matrices: ["attn.q", "attn.k", "attn.v"], until: 0.1 },
  { site: "attentionOut", matrices: ["attn.o"], until: 0.2 },
  { site: "mlp", matrices: ["mlp.gate", "mlp.up"], until: 0.4 },
  { site: "mlpOut", matrices: ["mlp.down"], until: 0.9 },
];

/** Part of the mean diagonal of H that is added to it: what GPTQ's authors take. */
const damping = 0.01;

/**
 * Writes the file, or goes on with one that has finished layers, and returns how it compares with the checkpoint. The
 * inputs of each site are gathered behind packed weights, so that it makes up for their errors, too.
 */
export async function* writeCalibratedFile(
  path: string,
  checkpoint: OpenedCheckpoint,
  options: CalibratedFileOptions,
): AsyncGenerator<CalibrationProgress, ModelComparison> {
  const { packed, tokens, evenOut, heldOut, layersFile, threads, signal } = options;
  const plan = planPackedFile(checkpoint, packed);
  const layers = new LayerPlans(checkpoint, { path, plan, threads });
  const calibration = addon().createCalibration(layers.of(0), tokens, {
    window: windowTokens,
    evenOut,
    heldOut,
    damping,
  });
  const cancel = (): void => calibration.cancel();
  signal?.addEventListener("abort", cancel);
  const file = openSync(path, existsSync(path) ? "r+" : "wx");
  try {
    const finished = existsSync(layersFile) ? Number(readFileSync(layersFile, "utf8")) : 0;
    if (finished === 0) await begin(file);
    const total = checkpoint.config.layers;
    for (let layer = 0; layer < total; ++layer) {
      if (layer >= finished) {
        for await (const part of pack(file, layer)) yield { done: layer + part, total };
      }
      await calibration.advance(layers.of(layer, "all"), layers.of(layer));
      if (layer >= finished) keep(file, layer + 1);
      yield { done: layer + 1, total };
    }
    return await calibration.compare(layers.of(total - 1, "all"), layers.of(total - 1));
  } finally {
    signal?.removeEventListener("abort", cancel);
    closeSync(file);
  }

  /** Everything but the matrices of layers. */
  async function begin(file: number): Promise<void> {
    ftruncateSync(file, plan.bytes);
    writeAll(file, plan.header, 0);
    for (const tensor of plan.tensors.filter(
      ({ ours, packing }) => !packing || !ours.startsWith("layers."),
    )) {
      let at = tensor.offset;
      for await (const bytes of roundedParts(checkpoint, tensor, threads)) {
        writeAll(file, bytes, at);
        at += bytes.length;
      }
    }
  }

  /** The matrices of a layer; tells of the parts of its work that are done. */
  async function* pack(file: number, layer: number): AsyncGenerator<number> {
    const ready = new Set<string>();
    for (const { site, matrices, until } of sites) {
      await calibration.gather(layers.of(layer, ready), site);
      for (const matrix of matrices) {
        const { weight, packing, offset } = layers.tensor(layer, matrix);
        const source = checkpoint.plan.files[weight.file];
        if (!source || !packing) throw new RangeError(`The plan has no file ${weight.file}.`);
        writeAll(file, await calibration.pack(source, { ...weight, file: 0 }, packing), offset);
        ready.add(matrix);
      }
      yield until;
    }
  }

  /** The layer is on disk before the count says so. */
  function keep(file: number, finished: number): void {
    fsyncSync(file);
    writeFileSync(`${layersFile}.new`, String(finished));
    renameSync(`${layersFile}.new`, layersFile);
  }
}

/** Plans of single layers, with the checkpoint's weights or those of the file. */
class LayerPlans {
  private readonly tensors: ReadonlyMap<string, PackedTensor>;

  constructor(
    private readonly checkpoint: OpenedCheckpoint,
    private readonly file: { readonly path: string; readonly plan: PackedFilePlan; readonly threads: number },
  ) {
    this.tensors = new Map(file.plan.tensors.map((tensor) => [tensor.ours, tensor]));
  }

  tensor(layer: number, matrix: string): PackedTensor {
    const tensor = this.tensors.get(`layers.${layer}.${matrix}`);
    if (!tensor) throw new RangeError(`The plan has no ${matrix} of layer ${layer}.`);
    return tensor;
  }

  /** The matrices in `packed`, or "all", head and embedding, too, are those of the file. */
  of(layer: number, packed: ReadonlySet<string> | "all" = new Set()): ModelPlan {
    const { plan } = this.checkpoint;
    const { path, threads } = this.file;
    const prefix = `layers.${layer}.`;
    const weights: Record<string, WeightPlan> = {};
    for (const [ours, weight] of Object.entries(plan.weights)) {
      const inner = ours.startsWith(prefix) ? ours.slice(prefix.length) : undefined;
      if (ours.startsWith("layers.") && inner === undefined) continue;
      const isPacked = packed === "all" || (inner !== undefined && packed.has(inner));
      weights[inner === undefined ? ours : `layers.0.${inner}`] = isPacked
        ? this.packedWeight(ours, weight)
        : weight;
    }
    return {
      config: { ...plan.config, layers: 1 },
      files: [...plan.files, { path, bytes: this.file.plan.bytes }],
      weights,
      device: "cpu",
      threads,
      kvType: "f32",
      isa: process.env.MINICPM_CPU ?? "",
      activations: "f32",
      cacheBytes: 0,
    };
  }

  private packedWeight(ours: string, weight: WeightPlan): WeightPlan {
    const tensor = this.tensors.get(ours);
    if (!tensor?.packing) return weight;
    const { format, group } = tensor.packing;
    const dtype = format.toUpperCase() as Uppercase<PackFormat>;
    return {
      file: this.checkpoint.plan.files.length,
      offset: tensor.offset,
      dtype,
      group,
      shape: weight.shape,
    };
  }
}
