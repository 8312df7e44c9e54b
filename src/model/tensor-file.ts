/** What a header says about tensors, the same for every file format. */

/** One tensor in a file, with every bound checked: its bytes are inside the file and fit its shape. */
export interface TensorInfo {
  readonly name: string;
  /** Path of the file that holds it. */
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
  /** The format's own name of the type, for example `BF16` or `Q4_1`. */
  readonly dtype: string;
  /** Outermost dimension first: `[out, in]` for matrices. */
  readonly shape: readonly number[];
}

/** The tensors of a checkpoint and the files that they are in. */
export interface TensorSet {
  /** The file or index that lists the tensors: named where one is missing. */
  readonly path: string;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** `[4096, 1024]`, for errors. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** The product of a shape, or undefined where it is no exact integer. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < 0) return undefined;
    count *= length;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}
