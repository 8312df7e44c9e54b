/** Reads GGUF's values one after another, through a window on the file, checking each length against what is left. */
import { CheckpointError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";

/** A metadata value. An integer beyond 2^53 is a bigint; an array of fixed-size values is a list of them. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

/** Bytes read from the file at a time. */
const windowBytes = 2 ** 18;

/** Far more header than any vocabulary needs, bytes. */
const mostHeaderBytes = 2 ** 27;

/** Most values in all arrays together; a vocabulary has some hundred thousand, and each takes memory of its own. */
const mostValues = 2 ** 23;

const mostNesting = 4;

const stringType = 8;
const arrayType = 9;

/** Value types of a fixed size, by number. */
const fixedTypes: ReadonlyMap<number, { readonly bytes: number; read(from: Buffer): GgufValue }> = new Map([
  [0, { bytes: 1, read: (from: Buffer) => from.readUInt8() }],
  [1, { bytes: 1, read: (from: Buffer) => from.readInt8() }],
  [2, { bytes: 2, read: (from: Buffer) => from.readUInt16LE() }],
  [3, { bytes: 2, read: (from: Buffer) => from.readInt16LE() }],
  [4, { bytes: 4, read: (from: Buffer) => from.readUInt32LE() }],
  [5, { bytes: 4, read: (from: Buffer) => from.readInt32LE() }],
  [6, { bytes: 4, read: (from: Buffer) => from.readFloatLE() }],
  [7, { bytes: 1, read: (from: Buffer) => from.readUInt8() !== 0 }],
  [10, { bytes: 8, read: (from: Buffer) => smallest(from.readBigUInt64LE()) }],
  [11, { bytes: 8, read: (from: Buffer) => smallest(from.readBigInt64LE()) }],
  [12, { bytes: 8, read: (from: Buffer) => from.readDoubleLE() }],
]);

export class GgufCursor {
  /** Bytes from the start of the file. */
  position = 0;

  private readonly most: number;
  private window: Buffer = Buffer.alloc(0);
  private windowStart = 0;
  private values = 0;

  constructor(private readonly source: ByteSource) {
    this.most = Math.min(source.size, mostHeaderBytes);
  }

  /** The next bytes; valid until the next call. */
  bytes(length: number): Buffer {
    this.need(length, "bytes");
    const start = this.position - this.windowStart;
    if (start + length > this.window.length) {
      const ahead = Math.min(Math.max(length, windowBytes), this.source.size - this.position);
      this.window = this.source.read(this.position, ahead);
      this.windowStart = this.position;
    }
    const at = this.position - this.windowStart;
    this.position += length;
    return this.window.subarray(at, at + length);
  }

  uint32(): number {
    return this.bytes(4).readUInt32LE();
  }

  /** @param what names the number in errors */
  uint64(what: string): number {
    const value = smallest(this.bytes(8).readBigUInt64LE());
    if (typeof value === "number") return value;
    throw new CheckpointError(this.source.path, what, "a number below 2^53", String(value));
  }

  /** A number of things that take at least `leastBytes` each, so that so many can still come. */
  count(what: string, leastBytes: number): number {
    const count = this.uint64(what);
    this.need(count * leastBytes, what);
    this.values += count;
    if (this.values > mostValues) {
      throw new CheckpointError(
        this.source.path,
        what,
        `at most ${mostValues} values in all`,
        `${this.values}`,
      );
    }
    return count;
  }

  string(): string {
    const length = this.uint64("the length of a string");
    return this.bytes(length).toString("utf8");
  }

  /** A type number and a value of that type. @param key names it in errors */
  value(key: string): GgufValue {
    return this.valueOf(this.uint32(), key, 0);
  }

  private valueOf(type: number, key: string, depth: number): GgufValue {
    if (type === stringType) return this.string();
    if (type === arrayType) return this.array(key, depth + 1);
    const fixed = fixedTypes.get(type);
    if (!fixed) throw new CheckpointError(this.source.path, key, "a value type from 0 to 12", String(type));
    return fixed.read(this.bytes(fixed.bytes));
  }

  private array(key: string, depth: number): GgufValue[] {
    if (depth > mostNesting) {
      throw new CheckpointError(this.source.path, key, `at most ${mostNesting} arrays in each other`, "more");
    }
    const type = this.uint32();
    const leastBytes = type === arrayType ? 12 : (fixedTypes.get(type)?.bytes ?? 8);
    const length = this.count(key, leastBytes);
    return Array.from({ length }, () => this.valueOf(type, key, depth));
  }

  private need(bytes: number, what: string): void {
    const left = this.most - this.position;
    if (bytes <= left) return;
    throw new CheckpointError(
      this.source.path,
      what,
      `${bytes} bytes at ${this.position}`,
      `${left} bytes of header`,
    );
  }
}

/** A number where that is exact. */
function smallest(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
