/** The tensors of a checkpoint under our names, each checked against the config: what native code is told to map. */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import type { PackFormat, Packing, WeightPlan } from "../native/binding.ts";
import type { ModelConfig } from "./config.ts";
import type { ArrayFinder } from "./quant-arrays.ts";
import { shapeText, type TensorInfo, type TensorSet } from "./tensor-file.ts";
import { packedColumns, packedLine, packedShape, packingOfWeight } from "./weight-size.ts";

/** How a file format calls our tensors and what it stores. */
export interface Naming {
  /** Their name of one of ours outside the layers. */
  readonly outer: Readonly<Record<"embed" | "head" | "norm", string>>;
  /** What stands before the name of a layer's tensor. */
  readonly layer: (layer: number) => string;
  readonly inner: Readonly<Record<LayerTensor, string>>;
  /** Types of matrices; vectors are F32, F16 or BF16 everywhere. */
  readonly matrixTypes: readonly WeightPlan["dtype"][];
  /** What to do about types that the format has and we do not run; absent where another type is a mistake. */
  readonly otherTypes?: string;
  /** q and k rows are in interleaved RoPE pairs. */
  readonly interleaved: boolean;
  /** Matrices are packed like this, as U8. */
  readonly packing?: Packing;
  /** Where a matrix may be in several tensors. */
  readonly arrays?: ArrayFinder;
  /** Tensors that are read elsewhere or carry nothing. */
  readonly known: RegExp;
}

type LayerTensor =
  | `attn.${"norm" | "q" | "k" | "v" | "o" | "q_norm" | "k_norm"}`
  | `mlp.${"norm" | "gate" | "up" | "down"}`;

/** Weights as `ModelPlan` wants them, and what was left over. */
export interface CheckpointWeights {
  readonly weights: Readonly<Record<string, WeightPlan>>;
  /** The head is the embedding. */
  readonly tiedHead: boolean;
  /** Names in the files that the model has no use for. */
  readonly unknownTensors: readonly string[];
}

export const huggingFaceNaming: Naming = {
  outer: { embed: "model.embed_tokens.weight", head: "lm_head.weight", norm: "model.norm.weight" },
  layer: (layer) => `model.layers.${layer}.`,
  inner: {
    "attn.norm": "input_layernorm.weight",
    "attn.q": "self_attn.q_proj.weight",
    "attn.k": "self_attn.k_proj.weight",
    "attn.v": "self_attn.v_proj.weight",
    "attn.o": "self_attn.o_proj.weight",
    "attn.q_norm": "self_attn.q_norm.weight",
    "attn.k_norm": "self_attn.k_norm.weight",
    "mlp.norm": "post_attention_layernorm.weight",
    "mlp.gate": "mlp.gate_proj.weight",
    "mlp.up": "mlp.up_proj.weight",
    "mlp.down": "mlp.down_proj.weight",
  },
  matrixTypes: ["F32", "F16", "BF16"],
  interleaved: false,
  known: /\.rotary_emb\.inv_freq$/,
};

/** Hugging Face's names of our weights. */
export function huggingFaceNames(config: ModelConfig, tiedHead: boolean): ReadonlyMap<string, string> {
  const { outer, layer, inner } = huggingFaceNaming;
  const names = new Map<string, string>(Object.entries(outer));
  if (tiedHead) names.delete("head");
  for (let i = 0; i < config.layers; ++i) {
    for (const [part, theirs] of Object.entries(inner)) names.set(`layers.${i}.${part}`, layer(i) + theirs);
  }
  return names;
}

const vectorTypes: readonly WeightPlan["dtype"][] = ["F32", "F16", "BF16"];

/**
 * Maps the tensors of `set` to our names.
 *
 * @throws CheckpointError naming file, tensor, expected and found where one is missing or has another dtype or shape.
 */
export function mapTensors(config: ModelConfig, set: TensorSet, naming: Naming): CheckpointWeights {
  const files = new Map(set.files.map(({ path }, index) => [path, index]));
  const weights: Record<string, WeightPlan> = {};
  const used = new Set<string>();

  const take = (ours: string, theirs: string, shape: readonly number[], interleavedHeads?: number) => {
    const tensor = set.tensors.get(theirs);
    const found = tensor || shape.length !== 2 ? undefined : naming.arrays?.(theirs, shape);
    if (found) {
      for (const name of found.names) used.add(name);
      weights[ours] = found.weight;
      return;
    }
    const packing = naming.packing && shape.length === 2 ? packingOfWeight(ours, naming.packing) : undefined;
    const types = shape.length === 1 ? vectorTypes : naming.matrixTypes;
    if (!tensor)
      throw new CheckpointError(
        set.path,
        theirs,
        `${packing ? packing.format : types.join(" or ")} ${shapeText(shape)}`,
        "no such tensor",
      );
    const stored = packing
      ? checkPacked(tensor, shape, packing)
      : { dtype: checkTensor(tensor, types, shape, naming.otherTypes) };
    used.add(theirs);
    const { offset, file } = tensor;
    weights[ours] = {
      file: files.get(file) ?? 0,
      offset,
      ...stored,
      shape,
      ...(interleavedHeads && { interleavedHeads }),
    };
  };

  const { outer } = naming;
  const { vocabSize, hiddenSize } = config;
  const tiedHead = config.tiedHead ?? !hasMatrix(set, outer.head);
  take("embed", outer.embed, [vocabSize, hiddenSize]);
  if (tiedHead) used.add(outer.head);
  else take("head", outer.head, [vocabSize, hiddenSize]);
  take("norm", outer.norm, [hiddenSize]);
  const shapes = Object.entries(layerShapes(config)) as [LayerTensor, readonly number[]][];
  for (let layer = 0; layer < config.layers; ++layer) {
    for (const [part, shape] of shapes) {
      const heads = { "attn.q": config.heads, "attn.k": config.kvHeads }[part as string];
      const theirs = naming.layer(layer) + naming.inner[part];
      take(`layers.${layer}.${part}`, theirs, shape, naming.interleaved ? heads : undefined);
    }
  }
  const unknownTensors = [...set.tensors.keys()].filter(
    (name) => !used.has(name) && !naming.known.test(name),
  );
  return { weights, tiedHead, unknownTensors };
}

/** As one tensor or in arrays. */
function hasMatrix({ tensors }: TensorSet, name: string): boolean {
  return tensors.has(name) || tensors.has(name.replace(/weight$/, "qweight"));
}

/** `[out, in]` of every tensor of a layer. */
function layerShapes(config: ModelConfig): Partial<Record<LayerTensor, readonly number[]>> {
  const { hiddenSize, intermediateSize, headDim } = config;
  const queries = config.heads * headDim;
  const keys = config.kvHeads * headDim;
  return {
    "attn.norm": [hiddenSize],
    "attn.q": [queries, hiddenSize],
    "attn.k": [keys, hiddenSize],
    "attn.v": [keys, hiddenSize],
    "attn.o": [hiddenSize, queries],
    ...(config.qkNorm && { "attn.q_norm": [headDim], "attn.k_norm": [headDim] }),
    "mlp.norm": [hiddenSize],
    "mlp.gate": [intermediateSize, hiddenSize],
    "mlp.up": [intermediateSize, hiddenSize],
    "mlp.down": [hiddenSize, intermediateSize],
  };
}

function checkTensor(
  tensor: TensorInfo,
  types: readonly WeightPlan["dtype"][],
  shape: readonly number[],
  otherTypes: string | undefined,
): WeightPlan["dtype"] {
  const { file, name, dtype, offset } = tensor;
  const known = types.find((type) => type === dtype);
  if (!known && otherTypes)
    throw new UnsupportedError(`The type ${dtype} of ${name} (in ${file})`, otherTypes);
  if (!known) throw new CheckpointError(file, name, types.join(" or "), dtype);
  if (tensor.shape.length !== shape.length || tensor.shape.some((length, axis) => length !== shape[axis])) {
    throw new CheckpointError(file, name, `shape ${shapeText(shape)}`, shapeText(tensor.shape));
  }
  const alignment = known === "F32" ? 4 : 2; // mapped and read as numbers of this size; quant blocks begin with an F16
  if (offset % alignment !== 0) {
    throw new CheckpointError(file, name, `an offset that is a multiple of ${alignment}`, String(offset));
  }
  return known;
}

/** A packed matrix is U8 `[tiles, bytes of a tile]`, where the CPU can read it as it lies. */
function checkPacked(
  { file, name, dtype, shape: found, offset }: TensorInfo,
  shape: readonly number[],
  packing: Packing,
): Pick<WeightPlan, "dtype" | "group"> {
  const columns = shape[1] ?? 0;
  if (columns % packedColumns !== 0) {
    throw new CheckpointError(file, name, `rows of a multiple of ${packedColumns} numbers`, String(columns));
  }
  const expected = `U8 ${shapeText(packedShape(shape, packing))} (${packing.format} ${shapeText(shape)})`;
  const type = `${dtype} ${shapeText(found)}`;
  if (!expected.startsWith(`${type} `)) throw new CheckpointError(file, name, expected, type);
  if (offset % packedLine !== 0) {
    throw new CheckpointError(file, name, `an offset that is a multiple of ${packedLine}`, String(offset));
  }
  return { dtype: packing.format.toUpperCase() as Uppercase<PackFormat>, group: packing.group };
}
