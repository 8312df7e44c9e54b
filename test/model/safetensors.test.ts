import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CheckpointError } from "../../src/errors.ts";
import { type ByteSource, inMemory } from "../../src/model/byte-source.ts";
import { openSafetensors, readSafetensors } from "../../src/model/safetensors.ts";
import { safetensorsBytes } from "./safetensors-writer.ts";

const file = "model.safetensors";
const f32 = (begin: number, shape: readonly number[] = [2]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, begin + 4 * shape.reduce((product, length) => product * length, 1)],
});

/** What a reader complains of: [tensor, expected, found] of its CheckpointError. */
function complaint(read: () => unknown): [string, string, string] {
  try {
    read();
  } catch (error) {
    const { code, file: named, tensor, expected, found, message } = error as CheckpointError;
    expect([code, named.endsWith(".safetensors")]).toEqual(["CHECKPOINT", true]);
    expect(message).toContain(named);
    return [tensor, expected, found];
  }
  throw new Error("nothing was thrown");
}

const complaintAbout = (header: unknown, dataBytes: number) =>
  complaint(() => readSafetensors(inMemory(file, safetensorsBytes(header, dataBytes))));

test("tensors are read in the order of their bytes, with offsets from the file's start", () => {
  const header = { b: f32(8, [1, 3]), __metadata__: { format: "pt" }, a: f32(0), empty: f32(8, [0, 5]) };
  const bytes = safetensorsBytes(header, 20);
  const start = bytes.length - 20;
  expect(readSafetensors(inMemory(file, bytes))).toEqual([
    { name: "a", file, offset: start, bytes: 8, dtype: "F32", shape: [2] },
    { name: "empty", file, offset: start + 8, bytes: 0, dtype: "F32", shape: [0, 5] },
    { name: "b", file, offset: start + 8, bytes: 12, dtype: "F32", shape: [1, 3] },
  ]);
});

test("only the header is read", () => {
  const bytes = safetensorsBytes({ a: f32(0, [1000]) }, 4000);
  const source = inMemory(file, bytes);
  let most = 0;
  const watched: ByteSource = {
    ...source,
    read: (offset, length) => {
      most = Math.max(most, offset + length);
      return source.read(offset, length);
    },
  };
  readSafetensors(watched);
  expect(most).toBe(bytes.length - 4000);
});

test("a header length of 4 GB, or beyond any number, allocates nothing", () => {
  for (const length of [2n ** 32n, 2n ** 63n, 2n ** 64n - 1n]) {
    const bytes = safetensorsBytes({ a: f32(0) }, 8);
    bytes.writeBigUInt64LE(length);
    const [, expected, found] = complaint(() => readSafetensors(inMemory(file, bytes)));
    expect(expected).toBe(`a header of at most ${bytes.length - 8} bytes`);
    expect(found).toBe(`a header length of ${length}`);
  }
});

test("every truncation is noticed", () => {
  const bytes = safetensorsBytes({ a: f32(0), b: f32(8) }, 16);
  for (let length = 0; length < bytes.length; ++length) {
    complaint(() => readSafetensors(inMemory(file, bytes.subarray(0, length))));
  }
  expect(readSafetensors(inMemory(file, bytes))).toHaveLength(2);
});

test("a truncated file names the tensor that is cut", () => {
  const bytes = safetensorsBytes({ a: f32(0), b: f32(8) }, 16);
  const half = bytes.subarray(0, bytes.length - 5);
  expect(complaint(() => readSafetensors(inMemory(file, half)))).toEqual([
    "b",
    `a file of at least ${bytes.length} bytes`,
    `${bytes.length - 5} bytes`,
  ]);
});

test("bytes after the last tensor are noticed", () => {
  const [tensor, , found] = complaintAbout({ a: f32(0) }, 9);
  expect([tensor, found]).toEqual(["", `${safetensorsBytes({ a: f32(0) }, 9).length} bytes`]);
});

test.each<[string, object, RegExp, RegExp]>([
  ["overlap", { a: f32(0), b: f32(4, [3]) }, /its bytes from \d+ on/, /an overlap with the tensor before/],
  ["lie apart", { a: f32(0), b: f32(12, [1]) }, /its bytes from \d+ on/, /a gap: they begin at/],
  ["reach beyond the file", { a: f32(0), b: f32(8, [1000]) }, /a file of at least \d+ bytes/, /\d+ bytes/],
])("tensors that %s are refused by name", (_, header, expected, found) => {
  const words = complaintAbout(header, 16);
  expect(words[0]).toBe("b");
  expect(words[1]).toMatch(expected);
  expect(words[2]).toMatch(found);
});

test("__proto__ is a name like any other", () => {
  const bytes = safetensorsBytes(Object.fromEntries([["__proto__", f32(0)]]), 8);
  expect(readSafetensors(inMemory(file, bytes))).toMatchObject([{ name: "__proto__", shape: [2] }]);
});

test("of a name that comes twice the second counts, and the bytes of the first are missed", () => {
  const text = Buffer.from(`{"a":${JSON.stringify(f32(0))},"a":${JSON.stringify(f32(8))}}`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const bytes = Buffer.concat([length, text, Buffer.alloc(16)]);
  const start = 8 + text.length;
  expect(complaint(() => readSafetensors(inMemory(file, bytes)))).toEqual([
    "a",
    `its bytes from ${start} on`,
    `a gap: they begin at ${start + 8}`,
  ]);
});

test.each<[string, unknown, string]>([
  ["no object", 7, "7"],
  ["an unknown dtype", { ...f32(0), dtype: "F31" }, '"F31"'],
  ["no dtype", { ...f32(0), dtype: undefined }, "nothing"],
  ["a shape that is no list", { ...f32(0), shape: 2 }, "2"],
  ["a negative dimension", { ...f32(0), shape: [-2] }, "[-2]"],
  ["a fraction as dimension", { ...f32(0), shape: [2.5] }, "[2.5]"],
  ["a shape beyond all integers", { ...f32(0), shape: [2 ** 30, 2 ** 30] }, "[1073741824, 1073741824]"],
  ["one offset", { ...f32(0), data_offsets: [0] }, "[0]"],
  ["offsets in reverse", { ...f32(0), data_offsets: [8, 0] }, "[8, 0]"],
  ["an offset beyond all files", { ...f32(0), data_offsets: [0, 2 ** 53] }, "[0, 9007199254740992]"],
  ["more bytes than its shape", { ...f32(0), data_offsets: [0, 12] }, "12"],
])("a tensor with %s is refused by name", (_, entry, found) => {
  const words = complaintAbout({ "model.norm.weight": entry }, 8);
  expect([words[0], words[2]]).toEqual(["model.norm.weight", found]);
});

test.each([
  ["no JSON", Buffer.from("{nope")],
  ["a list", Buffer.from("[]")],
  ["JSON null", Buffer.from("null")],
  ["deep nesting", Buffer.from("[".repeat(100_000))],
])("a header that is %s is refused", (_, text) => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  complaint(() => readSafetensors(inMemory(file, Buffer.concat([length, text]))));
});

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-safetensors-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const shard = (name: string, header: unknown, dataBytes: number) =>
  writeFileSync(join(folder, name), safetensorsBytes(header, dataBytes));

const index = (weightMap: unknown) =>
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));

test("shards are read as one set, files in the order of the index", () => {
  shard("one.safetensors", { a: f32(0) }, 8);
  shard("two.safetensors", { b: f32(0), c: f32(8) }, 16);
  index({ a: "one.safetensors", b: "two.safetensors", c: "two.safetensors" });
  const set = openSafetensors(folder);
  expect(set.files.map(({ path }) => path)).toEqual([
    join(folder, "one.safetensors"),
    join(folder, "two.safetensors"),
  ]);
  expect([...set.tensors.values()].map(({ name, file: path }) => [name, path])).toEqual([
    ["a", join(folder, "one.safetensors")],
    ["b", join(folder, "two.safetensors")],
    ["c", join(folder, "two.safetensors")],
  ]);
});

test("a half-downloaded shard is named with its tensor and both sizes", () => {
  shard("one.safetensors", { a: f32(0) }, 8);
  const whole = safetensorsBytes({ b: f32(0, [64]) }, 256);
  writeFileSync(join(folder, "two.safetensors"), whole.subarray(0, whole.length - 128));
  index({ a: "one.safetensors", b: "two.safetensors" });
  expect(complaint(() => openSafetensors(folder))).toEqual([
    "b",
    `a file of at least ${whole.length} bytes`,
    `${whole.length - 128} bytes`,
  ]);
});

test("a missing shard is named", () => {
  index({ a: "one.safetensors" });
  expect(complaint(() => openSafetensors(folder))[1]).toBe("a readable file");
});

test("a tensor that the index promises and its shard lacks is named", () => {
  shard("one.safetensors", { a: f32(0) }, 8);
  index({ a: "one.safetensors", b: "one.safetensors" });
  expect(complaint(() => openSafetensors(folder))).toEqual(["b", "a tensor listed in the index", "nothing"]);
});

test("a tensor in two shards is refused", () => {
  shard("one.safetensors", { a: f32(0), b: f32(8) }, 16);
  shard("two.safetensors", { b: f32(0) }, 8);
  index({ a: "one.safetensors", b: "two.safetensors" });
  expect(complaint(() => openSafetensors(folder))[0]).toBe("b");
});

test.each(["../one.safetensors", "/etc/passwd", "one.bin", 3, null])(
  "an index that leads to %s is refused",
  (path) => {
    index({ a: path });
    expect(() => openSafetensors(folder)).toThrow(
      /index\.json, a: expected a \.safetensors file beside the index/,
    );
  },
);

test.each([[], null, "a", undefined])("an index whose weight_map is %s is refused", (weightMap) => {
  index(weightMap);
  expect(() => openSafetensors(folder)).toThrow(/weight_map: expected tensor names with their files/);
});
