/**
 * Float matrices whose numbers are ternary as they are stored: -s, 0 and s, with an s for each group of a row. BitCPM4
 * (arXiv:2506.07900) keeps its so. Found by samples here; native code makes sure of every number while it packs them.
 */
import type { ModelPlan, Packing, WeightPlan } from "../native/binding.ts";
import { type ByteSource, withFile } from "./byte-source.ts";
import { packGroups } from "./packed-model.ts";
import { packedColumns } from "./weight-size.ts";

/** Numbers read of a matrix that is not ternary. */
const firstColumns = 128;

/** Bytes of a number. */
const sizes: Readonly<Partial<Record<WeightPlan["dtype"], 2 | 4>>> = { F16: 2, BF16: 2, F32: 4 };

/** The weights, those of the layers that look ternary marked so. @throws CheckpointError when a file cannot be read */
export function withTernary({
  files,
  weights,
}: Pick<ModelPlan, "files" | "weights">): Readonly<Record<string, WeightPlan>> {
  const marked = { ...weights };
  const matrices = Object.entries(weights).filter(
    ([name, { dtype, shape }]) =>
      name.startsWith("layers.") &&
      sizes[dtype] &&
      shape.length === 2 &&
      (shape[1] ?? 0) % packedColumns === 0,
  );
  for (const [index, { path }] of files.entries()) {
    const here = matrices.filter(([, { file }]) => file === index);
    if (here.length === 0) continue;
    withFile(path, (source) => {
      for (const [name, weight] of here) {
        const ternary = ternaryGroup(source, weight);
        if (ternary) marked[name] = { ...weight, ternary };
      }
    });
  }
  return marked;
}

/** Columns that share a scale in every row of the sample; undefined where it is not ternary, or all zeros. */
function ternaryGroup(source: ByteSource, weight: WeightPlan): Packing["group"] | undefined {
  const [rows = 0, columns = 0] = weight.shape;
  const size = sizes[weight.dtype] ?? 4;
  const magnitudes = (row: number, count: number) => {
    const bytes = source.read(weight.offset + row * columns * size, count * size);
    const at = (index: number) =>
      size === 2 ? bytes.readUInt16LE(2 * index) & 0x7fff : bytes.readUInt32LE(4 * index) & 0x7fffffff;
    return Array.from({ length: count }, (_, index) => at(index));
  };
  if (!hasOneEach(magnitudes(0, Math.min(firstColumns, columns)), packedColumns)) return undefined;
  const sample = [0, 1 / 3, 2 / 3, 1].map((part) => magnitudes(Math.floor(part * (rows - 1)), columns));
  if (sample.every((row) => row.every((magnitude) => magnitude === 0))) return undefined;
  return packGroups.toReversed().find((group) => sample.every((row) => hasOneEach(row, group)));
}

/** Whether each group has at most one magnitude beside 0. */
function hasOneEach(magnitudes: readonly number[], group: number): boolean {
  let its = 0;
  return magnitudes.every((magnitude, column) => {
    if (column % group === 0) its = 0;
    if (its === 0) its = magnitude;
    return magnitude === 0 || magnitude === its;
  });
}
