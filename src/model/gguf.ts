/**
 * The GGUF container, versions 2 and 3: metadata, tensor infos, then the tensors' bytes. Only the header is read; no
 * count or length in it makes us allocate more than the file has bytes for.
 *
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { GgufCursor, type GgufValue } from "./gguf-cursor.ts";
import { quantTypes } from "./quant-types.ts";
import { elementCount, shapeText, type TensorInfo, type TensorSet } from "./tensor-file.ts";

export interface GgufFile extends TensorSet {
  readonly metadata: ReadonlyMap<string, GgufValue>;
}

/** Tensor types by number: name, elements in a quant block, bytes of it (ggml.h, ggml-common.h). */
const tensorTypes: ReadonlyMap<number, readonly [name: string, elements: number, bytes: number]> = new Map([
  [0, ["F32", 1, 4]],
  [1, ["F16", 1, 2]],
  [2, ["Q4_0", 32, 18]],
  [3, ["Q4_1", 32, 20]],
  [6, ["Q5_0", 32, 22]],
  [7, ["Q5_1", 32, 24]],
  [8, ["Q8_0", 32, 34]],
  [9, ["Q8_1", 32, 36]],
  [10, ["Q2_K", 256, 84]],
  [11, ["Q3_K", 256, 110]],
  [12, ["Q4_K", 256, 144]],
  [13, ["Q5_K", 256, 176]],
  [14, ["Q6_K", 256, 210]],
  [15, ["Q8_K", 256, 292]],
  [16, ["IQ2_XXS", 256, 66]],
  [17, ["IQ2_XS", 256, 74]],
  [18, ["IQ3_XXS", 256, 98]],
  [19, ["IQ1_S", 256, 50]],
  [20, ["IQ4_NL", 32, 18]],
  [21, ["IQ3_S", 256, 110]],
  [22, ["IQ2_S", 256, 82]],
  [23, ["IQ4_XS", 256, 136]],
  [24, ["I8", 1, 1]],
  [25, ["I16", 1, 2]],
  [26, ["I32", 1, 4]],
  [27, ["I64", 1, 8]],
  [28, ["F64", 1, 8]],
  [29, ["IQ1_M", 256, 56]],
  [30, ["BF16", 1, 2]],
  [34, ["TQ1_0", 256, 54]],
  [35, ["TQ2_0", 256, 66]],
  [39, ["MXFP4", 32, 17]],
]);

/** The least bytes that a metadata entry and a tensor info take. */
const entryBytes = 8 + 4 + 1;
const infoBytes = 8 + 4 + 4 + 8;

const mostDimensions = 4;

/**
 * @throws CheckpointError naming file, tensor or key, expected and found.
 * @throws UnsupportedError for other versions, byte orders and tensor types.
 */
export function readGguf(source: ByteSource): GgufFile {
  const { path } = source;
  const cursor = new GgufCursor(source);
  const magic = cursor.bytes(4).toString("latin1");
  if (magic !== "GGUF") throw new CheckpointError(path, "", 'the letters "GGUF"', JSON.stringify(magic));
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) {
    throw new UnsupportedError(
      `GGUF version ${version} (in ${path})`,
      "Versions 2 and 3, little-endian, are.",
    );
  }
  const tensorCount = cursor.count("tensors", infoBytes);
  const entryCount = cursor.count("metadata entries", entryBytes);

  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entryCount; ++i) {
    const key = cursor.string();
    if (metadata.has(key)) throw new CheckpointError(path, key, "the key once", "it twice");
    metadata.set(key, cursor.value(key));
  }
  const alignment = readAlignment(path, metadata);
  const infos = Array.from({ length: tensorCount }, () => readInfo(cursor, path, alignment));
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = placeTensors(source, dataStart, infos);
  return { path, files: [{ path, bytes: source.size }], tensors, metadata };
}

function readAlignment(path: string, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  const good =
    typeof alignment === "number" &&
    alignment >= 8 &&
    alignment <= 2 ** 20 &&
    Number.isInteger(Math.log2(alignment));
  if (!good)
    throw new CheckpointError(path, "general.alignment", "a power of two from 8 to 2^20", String(alignment));
  return alignment;
}

/** A tensor whose offset still counts from the start of the data. */
function readInfo(cursor: GgufCursor, file: string, alignment: number): TensorInfo {
  const name = cursor.string();
  const dimensions = cursor.uint32();
  if (dimensions > mostDimensions) {
    throw new CheckpointError(file, name, `at most ${mostDimensions} dimensions`, String(dimensions));
  }
  // The file has the innermost dimension first.
  const shape = Array.from({ length: dimensions }, () => cursor.uint64(`${name}, dimension`)).reverse();
  const number = cursor.uint32();
  const offset = cursor.uint64(`${name}, offset`);
  const type = tensorTypes.get(number);
  if (!type) throw new UnsupportedError(`Tensor type ${number} of ${name} (in ${file})`, supportedTypes);
  const [dtype, elements, blockBytes] = type;
  const count = elementCount(shape);
  const rowLength = shape.at(-1) ?? 1;
  const bytes = count === undefined ? Number.NaN : (count / elements) * blockBytes;
  if (rowLength % elements !== 0 || !Number.isSafeInteger(bytes)) {
    throw new CheckpointError(
      file,
      name,
      `rows of whole blocks of ${elements}, as ${dtype} has`,
      shapeText(shape),
    );
  }
  if (offset % alignment !== 0) {
    throw new CheckpointError(file, name, `an offset that is a multiple of ${alignment}`, String(offset));
  }
  return { name, file, offset, bytes, dtype, shape };
}

function placeTensors(
  { path, size }: ByteSource,
  dataStart: number,
  infos: TensorInfo[],
): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  let next = dataStart;
  for (const info of infos.toSorted((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    const tensor = { ...info, offset: dataStart + info.offset };
    if (tensors.has(tensor.name)) throw new CheckpointError(path, tensor.name, "the tensor once", "it twice");
    if (tensor.offset < next) {
      const found = `an overlap with the tensor before: they begin at ${tensor.offset}`;
      throw new CheckpointError(path, tensor.name, `its bytes from ${next} on`, found);
    }
    next = tensor.offset + tensor.bytes;
    if (next > size) {
      throw new CheckpointError(path, tensor.name, `a file of at least ${next} bytes`, `${size} bytes`);
    }
    tensors.set(tensor.name, tensor);
  }
  return tensors;
}

/** What to do about a tensor type that we do not run. */
export const supportedTypes = `F32, F16, BF16, ${quantTypes.join(", ")} are: look for a file in these.`;
