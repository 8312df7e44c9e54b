/**
 * Joins the tensors of one matrix: GPTQ's and AWQ's qweight, qzeros, scales and g_idx, and CPM.cu's Marlin files, which
 * have q, k and v in one, gate and up in another.
 */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import type { ArrayType, WeightPlan } from "../native/binding.ts";
import { withFile } from "./byte-source.ts";
import type { ModelConfig } from "./config.ts";
import type { Quantization } from "./quantization-config.ts";
import { shapeText, type TensorInfo, type TensorSet } from "./tensor-file.ts";

/** A matrix in arrays, and the names of the tensors that it is made of. */
export interface FoundArrays {
  readonly weight: WeightPlan;
  readonly names: readonly string[];
}

/** Finds the arrays of the matrix that a checkpoint calls `name` ("….q_proj.weight"); undefined where there are none. */
export type ArrayFinder = (name: string, shape: readonly number[]) => FoundArrays | undefined;

/**
 * @param quantization what the checkpoint says; absent: only Marlin files, which explain themselves, are found
 * @param read the bytes of a small tensor
 * @returns a finder that throws CheckpointError naming file, tensor, expected and found, or UnsupportedError
 */
export function arrayFinder(
  set: TensorSet,
  config: ModelConfig,
  quantization: Quantization | undefined,
  read: (tensor: TensorInfo) => Uint8Array = bytesOf,
): ArrayFinder {
  const files = new Map(set.files.map(({ path }, index) => [path, index]));
  const place = ({ file, offset }: TensorInfo) => ({ file: files.get(file) ?? 0, offset });

  const tensor = (name: string, dtype: string, shape: readonly number[], orDtype = dtype): TensorInfo => {
    const found = set.tensors.get(name);
    const expected = `${found?.dtype === orDtype ? orDtype : dtype} ${shapeText(shape)}`;
    if (!found) throw new CheckpointError(set.path, name, expected, "no such tensor");
    const is = `${found.dtype} ${shapeText(found.shape)}`;
    if (is !== expected) throw new CheckpointError(found.file, name, expected, is);
    return found;
  };

  const plain = (base: string, shape: readonly number[], how: Quantization): FoundArrays => {
    const [rows = 0, columns = 0] = shape;
    const { method, bits, symmetric, addedToZeros } = how;
    checkDivides(set.path, base, shape, [8, 32]);
    const group = Math.min(how.group ?? columns, columns);
    const groups = Math.ceil(columns / group);
    const inWord = 32 / bits;
    const isAwq = method === "awq";
    const qweight = tensor(
      `${base}.qweight`,
      "I32",
      isAwq ? [columns, rows / inWord] : [columns / inWord, rows],
    );
    const scales = tensor(`${base}.scales`, "F16", [groups, rows], "BF16");
    const qzeros = tensor(`${base}.qzeros`, "I32", [groups, rows / inWord]);
    const groupOf = set.tensors.has(`${base}.g_idx`) ? tensor(`${base}.g_idx`, "I32", [columns]) : undefined;
    const mixed = groupOf && !isAwq && !isInOrder(read(groupOf), group) ? groupOf : undefined;
    const bias = set.tensors.get(`${base}.bias`);
    if (bias) checkBias(bias, rows, read);
    const dtype: ArrayType = isAwq ? "AWQ4" : bits === 8 ? "GPTQ8" : "GPTQ4";
    return {
      weight: {
        ...place(qweight),
        dtype,
        shape,
        arrays: {
          rows,
          firstRow: 0,
          group,
          scales: place(scales),
          ...(scales.dtype === "BF16" && { bf16Scales: true }),
          zeroPoints: { ...place(qzeros), added: addedToZeros },
          symmetric,
          ...(mixed && { columnGroups: place(mixed) }),
        },
      },
      names: [qweight, scales, qzeros, groupOf, bias].flatMap((part) => part?.name ?? []),
    };
  };

  const marlin = (base: string, shape: readonly number[]): FoundArrays => {
    const [, columns = 0] = shape;
    const { name, firstRow, rows = shape[0] ?? 0 } = fused(base, config);
    checkDivides(set.path, name, [rows, columns], [64, 32]);
    checkDivides(set.path, base, [firstRow, columns], [16, 32]);
    const qweight = tensor(`${name}.qweight`, "I32", [columns / 16, 2 * rows]);
    const groups = set.tensors.get(`${name}.scales`)?.shape[0] ?? 1;
    const group = columns / groups;
    const scales = tensor(`${name}.scales`, "F16", [groups, rows], "BF16");
    if (group % 32 !== 0)
      throw new CheckpointError(scales.file, scales.name, "groups of a multiple of 32", String(group));
    return {
      weight: {
        ...place(qweight),
        dtype: "MARLIN4",
        shape,
        arrays: {
          rows,
          firstRow,
          group,
          scales: place(scales),
          ...(scales.dtype === "BF16" && { bf16Scales: true }),
          symmetric: true,
        },
      },
      names: [qweight.name, scales.name],
    };
  };

  return (weightName, shape) => {
    const base = weightName.replace(/\.weight$/, "");
    const { name } = fused(base, config);
    // Only Marlin's integers have tiles of 16 columns as their rows.
    if (set.tensors.get(`${name}.qweight`)?.shape[0] === (shape[1] ?? 0) / 16) return marlin(base, shape);
    if (!set.tensors.has(`${base}.qweight`)) return undefined;
    if (quantization) return plain(base, shape, quantization);
    throw new CheckpointError(set.path, `${base}.qweight`, "a quantization_config in config.json", "none");
  };
}

/** The matrix of a Marlin file that has one of ours, where it begins there, and how many rows it has, if not ours alone. */
function fused(
  base: string,
  { heads, kvHeads, headDim, intermediateSize }: ModelConfig,
): { readonly name: string; readonly firstRow: number; readonly rows?: number } {
  const [, path, part = ""] = /^(.*\.)(q_proj|k_proj|v_proj|gate_proj|up_proj)$/.exec(base) ?? [];
  if (path === undefined) return { name: base, firstRow: 0 };
  const queries = heads * headDim;
  const keys = kvHeads * headDim;
  const attention = { q_proj: 0, k_proj: queries, v_proj: queries + keys }[part];
  if (attention !== undefined)
    return { name: `${path}qkv_proj`, firstRow: attention, rows: queries + 2 * keys };
  const firstRow = part === "up_proj" ? intermediateSize : 0;
  return { name: `${path}gate_up_proj`, firstRow, rows: 2 * intermediateSize };
}

function checkDivides(
  file: string,
  name: string,
  shape: readonly number[],
  [rowsOf, columnsOf]: readonly [number, number],
): void {
  const [rows = 0, columns = 0] = shape;
  if (rows % rowsOf === 0 && columns % columnsOf === 0) return;
  const expected = `a multiple of ${rowsOf} rows and of ${columnsOf} columns`;
  throw new CheckpointError(file, name, expected, shapeText(shape));
}

/** Groups of columns (Int32) are neighbours, and in order: everywhere but in GPTQ with `desc_act`. */
function isInOrder(bytes: Uint8Array, group: number): boolean {
  const indices = new Int32Array(Uint8Array.from(bytes).buffer);
  return indices.every((index, column) => index === Math.floor(column / group));
}

/** The forward pass has no biases; GPTQ's tools write zeros all the same. */
function checkBias(tensor: TensorInfo, rows: number, read: (tensor: TensorInfo) => Uint8Array): void {
  if (tensor.shape.length !== 1 || tensor.shape[0] !== rows) {
    throw new CheckpointError(tensor.file, tensor.name, `shape [${rows}]`, shapeText(tensor.shape));
  }
  if (read(tensor).every((byte) => byte === 0)) return;
  throw new UnsupportedError(
    `The bias ${tensor.name} (in ${tensor.file})`,
    "Only models without biases, or with biases of zero, run.",
  );
}

function bytesOf({ file, offset, bytes }: TensorInfo): Buffer {
  return withFile(file, (source) => source.read(offset, bytes));
}
