/**
 * The safetensors container: 8 bytes of header length, a JSON header, the tensors' bytes. One file, or shards listed by
 * an index. Only headers are read.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { type ByteSource, withFile } from "./byte-source.ts";
import { Fields, isObject, parseJson, readJson, shown } from "./json-fields.ts";
import { elementCount, shapeText, type TensorInfo, type TensorSet } from "./tensor-file.ts";

/** The format's own limit on its header, bytes. */
const mostHeaderBytes = 100_000_000;

/** Bytes of one element. */
const elementBytes: ReadonlyMap<unknown, number> = new Map([
  ...["F64", "I64", "U64", "C64"].map((dtype) => [dtype, 8] as const),
  ...["F32", "I32", "U32"].map((dtype) => [dtype, 4] as const),
  ...["F16", "BF16", "I16", "U16"].map((dtype) => [dtype, 2] as const),
  ...["BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"].map((dtype) => [dtype, 1] as const),
]);

export interface SafetensorsSet extends TensorSet {
  /** `__metadata__` of a file that is the only one, unchecked. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Whether a folder holds safetensors, as one file or in shards. */
export function hasSafetensors(folder: string): boolean {
  return existsSync(join(folder, indexName)) || onlyFile(folder) !== undefined;
}

const indexName = "model.safetensors.index.json";

/** `model.safetensors`, or the only one of that ending, as GPTQ's and CPM.cu's tools name theirs. */
function onlyFile(folder: string): string | undefined {
  const names = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  const name = names.includes("model.safetensors") ? "model.safetensors" : names[0];
  return name !== undefined && (names.length === 1 || name === "model.safetensors")
    ? join(folder, name)
    : undefined;
}

/**
 * The tensors of a folder's `model.safetensors` (or its only safetensors file), or of the shards in
 * `model.safetensors.index.json`.
 *
 * @throws CheckpointError naming file, tensor, expected and found: a shard that is missing or cut short, a tensor that
 *   the index promises and the shard lacks, any header that does not describe its file.
 */
export function openSafetensors(folder: string): SafetensorsSet {
  const indexPath = join(folder, indexName);
  if (!existsSync(indexPath)) {
    const path = onlyFile(folder) ?? join(folder, "model.safetensors");
    const { __metadata__: metadata } = withFile(path, readHeader).header;
    return { ...gather(path, [path]), ...(isObject(metadata) && { metadata }) };
  }

  const weightMap = withFile(indexPath, readIndex);
  const shards = [...new Set(weightMap.values())].map((name) => join(folder, name));
  const set = gather(indexPath, shards);
  for (const [tensor, shard] of weightMap) {
    const found = set.tensors.get(tensor)?.file;
    if (found !== join(folder, shard)) {
      throw new CheckpointError(
        join(folder, shard),
        tensor,
        "a tensor listed in the index",
        found ?? "nothing",
      );
    }
  }
  return set;
}

/** The index of shards: tensor name -> file name in the same folder. */
export function readIndex(source: ByteSource): ReadonlyMap<string, string> {
  const fields = Fields.of(source.path, readJson(source));
  const weightMap = fields.get("weight_map");
  if (!isObject(weightMap)) throw fields.wrong("weight_map", "tensor names with their files", weightMap);
  const entries = Object.entries(weightMap);
  for (const [tensor, shard] of entries) {
    const plain =
      typeof shard === "string" && shard === basename(shard) && /^[^\\\0]+\.safetensors$/.test(shard);
    if (!plain)
      throw new CheckpointError(source.path, tensor, "a .safetensors file beside the index", shown(shard));
  }
  return new Map(entries as [string, string][]);
}

/**
 * The tensors of one file, in the order of their bytes.
 *
 * As in the format's reference reader the tensors must fill the file without gaps or overlaps, so a file that is cut
 * short, padded, or another one's is noticed here.
 *
 * @throws CheckpointError
 */
export function readSafetensors(source: ByteSource): TensorInfo[] {
  const { header, dataStart } = readHeader(source);
  const tensors = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, entry]) => readEntry(source.path, name, entry, dataStart));
  return checkLayout(source, dataStart, tensors);
}

/** The JSON, and where the bytes behind it begin. */
function readHeader(source: ByteSource): {
  readonly header: Readonly<Record<string, unknown>>;
  readonly dataStart: number;
} {
  const { path } = source;
  if (source.size < 8)
    throw new CheckpointError(path, "", "8 bytes of header length", `${source.size} bytes`);
  const headerBytes = source.read(0, 8).readBigUInt64LE();
  if (headerBytes > BigInt(mostHeaderBytes) || headerBytes > BigInt(source.size - 8)) {
    const most = Math.min(mostHeaderBytes, source.size - 8);
    throw new CheckpointError(
      path,
      "",
      `a header of at most ${most} bytes`,
      `a header length of ${headerBytes}`,
    );
  }
  const header = parseJson(source.read(8, Number(headerBytes)).toString("utf8"), path);
  if (!isObject(header)) throw new CheckpointError(path, "", "a JSON object as header", shown(header));
  return { header, dataStart: 8 + Number(headerBytes) };
}

function readEntry(file: string, name: string, entry: unknown, dataStart: number): TensorInfo {
  const wrong = (expected: string, found: unknown) => new CheckpointError(file, name, expected, shown(found));
  if (!isObject(entry)) throw wrong("a tensor's dtype, shape and data_offsets", entry);
  const { dtype, shape, data_offsets: offsets } = entry;

  const unit = elementBytes.get(dtype);
  if (unit === undefined) throw wrong(`a dtype out of ${[...elementBytes.keys()].join(", ")}`, dtype);
  const count = Array.isArray(shape) ? elementCount(shape) : undefined;
  if (count === undefined) throw wrong("a shape of non-negative integers", shape);
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as [unknown, unknown]) : [];
  if (!isOffset(begin) || !isOffset(end) || end < begin) throw wrong("data_offsets [begin, end]", offsets);
  if (end - begin !== count * unit) {
    throw wrong(`${count * unit} bytes for ${dtype} ${shapeText(shape as number[])}`, end - begin);
  }
  return {
    name,
    file,
    offset: dataStart + begin,
    bytes: end - begin,
    dtype: dtype as string,
    shape: shape as number[],
  };
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 52;
}

function checkLayout({ path, size }: ByteSource, dataStart: number, tensors: TensorInfo[]): TensorInfo[] {
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let next = dataStart;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== next) {
      const what = offset < next ? "an overlap with the tensor before" : "a gap";
      throw new CheckpointError(path, name, `its bytes from ${next} on`, `${what}: they begin at ${offset}`);
    }
    next = offset + bytes;
    if (next > size)
      throw new CheckpointError(path, name, `a file of at least ${next} bytes`, `${size} bytes`);
  }
  if (next !== size) throw new CheckpointError(path, "", `a file of ${next} bytes`, `${size} bytes`);
  return tensors;
}

function gather(path: string, shards: readonly string[]): TensorSet {
  const tensors = new Map<string, TensorInfo>();
  const files = shards.map((shard) => {
    for (const tensor of withFile(shard, readSafetensors)) {
      const other = tensors.get(tensor.name);
      if (other) throw new CheckpointError(shard, tensor.name, `it only in ${other.file}`, "it again");
      tensors.set(tensor.name, tensor);
    }
    return { path: shard, bytes: statSync(shard).size };
  });
  return { path, files, tensors };
}
