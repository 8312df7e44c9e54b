import { expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import {
  array,
  boolean,
  float32,
  string,
  strings,
  type TypedValue,
  uint32,
  uint64,
} from "../../src/gguf/gguf-writer.ts";
import { type ByteSource, inMemory } from "../../src/model/byte-source.ts";
import { GgufCursor } from "../../src/model/gguf-cursor.ts";

const file = "model.gguf";

/** The value as it lies in a file: type number, then bytes. */
function written({ type, bytes }: TypedValue): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32LE(type);
  return Buffer.concat([number, bytes]);
}

const readValue = (bytes: Uint8Array) => new GgufCursor(inMemory(file, bytes)).value("some.key");

function complaint(bytes: Uint8Array): [string, string, string] {
  try {
    readValue(bytes);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.file).toBe(file);
    return [error.tensor, error.expected, error.found];
  }
  throw new Error("nothing was thrown");
}

const raw = (type: number, ...bytes: number[]): TypedValue => ({ type, bytes: Buffer.from(bytes) });
const double = Buffer.alloc(8);
double.writeDoubleLE(Math.PI);

test.each<[string, TypedValue, unknown]>([
  ["uint8", raw(0, 255), 255],
  ["int8", raw(1, 255), -1],
  ["uint16", raw(2, 255, 255), 65535],
  ["int16", raw(3, 254, 255), -2],
  ["uint32", uint32(2 ** 32 - 1), 2 ** 32 - 1],
  ["int32", raw(5, 253, 255, 255, 255), -3],
  ["float32", float32(0.1), Math.fround(0.1)],
  ["true", boolean(true), true],
  ["false", boolean(false), false],
  ["string", string("Grüße 🙂"), "Grüße 🙂"],
  ["uint64", uint64(2n ** 53n - 1n), 2 ** 53 - 1],
  ["uint64 beyond 2^53", uint64(2n ** 64n - 1n), 2n ** 64n - 1n],
  ["int64", raw(11, ...Array(8).fill(255)), -1],
  ["float64", { type: 12, bytes: double }, Math.PI],
  ["list of strings", strings(["a", "", "ü"]), ["a", "", "ü"]],
  ["list of lists", array(9, [array(4, [uint32(1)]), array(8, [])]), [[1], []]],
])("a %s is read, and every prefix of it is refused", (_, value, expected) => {
  const bytes = written(value);
  expect(readValue(bytes)).toEqual(expected);
  for (let length = 0; length < bytes.length; ++length) complaint(bytes.subarray(0, length));
});

test.each([13, 255, 2 ** 32 - 1])("value type %i is refused, and its key is named", (type) => {
  expect(complaint(written({ type, bytes: Buffer.alloc(8) }))).toEqual([
    "some.key",
    "a value type from 0 to 12",
    String(type),
  ]);
});

test("a list that is longer than the file is refused before anything is allocated", () => {
  const list = array(4, []);
  list.bytes.writeBigUInt64LE(2n ** 40n, 4);
  expect(complaint(written(list))).toEqual(["some.key", `${2 ** 42} bytes at 16`, "0 bytes of header"]);
});

test("lists of more values than any vocabulary has are refused", () => {
  const bytes = written({ type: 9, bytes: Buffer.alloc(12 + 2 ** 23 + 1) });
  bytes.writeBigUInt64LE(2n ** 23n + 1n, 8);
  expect(complaint(bytes)).toEqual(["some.key", `at most ${2 ** 23} values in all`, `${2 ** 23 + 1}`]);
});

test("lists nest four deep and no deeper", () => {
  const nested = (depth: number): TypedValue => (depth === 0 ? array(4, []) : array(9, [nested(depth - 1)]));
  expect(readValue(written(nested(3)))).toEqual([[[[]]]]);
  expect(complaint(written(nested(4)))).toEqual(["some.key", "at most 4 arrays in each other", "more"]);
});

test("a value that lies across the edge of the window is whole", () => {
  const long = "x".repeat(2 ** 18 - 3);
  const bytes = Buffer.concat([string(long).bytes, string("after").bytes]);
  const source = inMemory(file, bytes);
  let reads = 0;
  const counted: ByteSource = {
    ...source,
    read: (offset, length) => {
      ++reads;
      return source.read(offset, length);
    },
  };
  const cursor = new GgufCursor(counted);
  expect([cursor.string(), cursor.string(), cursor.position]).toEqual([long, "after", bytes.length]);
  expect(reads).toBeLessThanOrEqual(4);
});
