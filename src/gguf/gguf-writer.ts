/** Writes GGUF, version 3 (ggml/docs/gguf.md): typed metadata, the list of tensors, then their bytes. */

/** A metadata value with its type number, already as bytes. */
export interface TypedValue {
  readonly type: number;
  readonly bytes: Buffer;
}

/** A tensor's line in the header. */
export interface GgufTensorPlace {
  readonly name: string;
  /** Innermost dimension last, as everywhere but in the file. */
  readonly shape: readonly number[];
  /** The type's number: {@link tensorTypeNumbers}. */
  readonly type: number;
  /** How many it has. */
  readonly byteLength: number;
}

export interface GgufTensor extends Omit<GgufTensorPlace, "byteLength"> {
  readonly bytes: Uint8Array;
}

export interface GgufHeaderParts {
  readonly metadata: Readonly<Record<string, TypedValue>>;
  readonly tensors: readonly GgufTensorPlace[];
  readonly version?: number | undefined;
  /** Bytes; what follows the header lies at multiples of it. */
  readonly alignment?: number | undefined;
}

export interface GgufParts extends Omit<GgufHeaderParts, "tensors"> {
  readonly tensors: readonly GgufTensor[];
}

export const tensorTypeNumbers = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  BF16: 30,
  TQ1_0: 34,
  TQ2_0: 35,
} as const;

/** What llama.cpp lays tensors on, bytes. */
const usualAlignment = 32;

export const uint32 = (value: number): TypedValue => ({ type: 4, bytes: u32(value) });
export const float32 = (value: number): TypedValue => ({ type: 6, bytes: f32(value) });
export const boolean = (value: boolean): TypedValue => ({ type: 7, bytes: Buffer.of(Number(value)) });
export const string = (value: string): TypedValue => ({ type: 8, bytes: text(value) });
export const uint64 = (value: bigint): TypedValue => ({ type: 10, bytes: u64(value) });

/** An array whose items all have `type`. */
export function array(type: number, items: readonly TypedValue[]): TypedValue {
  const bytes = Buffer.concat([u32(type), u64(BigInt(items.length)), ...items.map((item) => item.bytes)]);
  return { type: 9, bytes };
}

export const strings = (values: readonly string[]): TypedValue => array(8, values.map(string));

/** The file's bytes. Tensors lie in the order given, each at a multiple of the alignment. */
export function ggufBytes({ tensors, ...parts }: GgufParts): Buffer {
  const places = tensors.map(({ bytes, ...tensor }) => ({ ...tensor, byteLength: bytes.length }));
  const data = tensors.flatMap(({ bytes }) => [bytes, padding(bytes.length, parts.alignment)]);
  return Buffer.concat([ggufHeader({ ...parts, tensors: places }), ...data]);
}

/** Everything before the first tensor. Tensors follow in the order given, each with its {@link padding} behind it. */
export function ggufHeader({ metadata, tensors, version = 3, alignment }: GgufHeaderParts): Buffer {
  const entries = Object.entries(metadata);
  const header = [
    Buffer.from("GGUF"),
    u32(version),
    u64(BigInt(tensors.length)),
    u64(BigInt(entries.length)),
  ];
  for (const [key, { type, bytes }] of entries) header.push(text(key), u32(type), bytes);
  let offset = 0;
  for (const { name, shape, type, byteLength } of tensors) {
    const dimensions = shape.toReversed().map((length) => u64(BigInt(length)));
    header.push(text(name), u32(shape.length), ...dimensions, u32(type), u64(BigInt(offset)));
    offset += byteLength + padding(byteLength, alignment).length;
  }
  const head = Buffer.concat(header);
  return Buffer.concat([head, padding(head.length, alignment)]);
}

/** What stands between `byteLength` bytes and the next multiple of the alignment. */
export function padding(byteLength: number, alignment = usualAlignment): Buffer {
  return Buffer.alloc((alignment - (byteLength % alignment)) % alignment);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(BigInt(bytes.length)), bytes]);
}
