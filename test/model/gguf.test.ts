import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { type GgufParts, type GgufTensor, ggufBytes, string, uint32 } from "../../src/gguf/gguf-writer.ts";
import { inMemory } from "../../src/model/byte-source.ts";
import { readGguf } from "../../src/model/gguf.ts";
import { openModel } from "../../src/model/load.ts";

const file = "model.gguf";

/** A tensor of type F32, all zeros. */
const f32 = (name: string, ...shape: number[]): GgufTensor => {
  const bytes = new Uint8Array(shape.reduce((product, length) => product * length, 4));
  return { name, shape, type: 0, bytes };
};

const parts: GgufParts = {
  metadata: { "general.architecture": string("llama") },
  tensors: [f32("a", 2, 4), f32("b", 8)],
};

const read = (bytes: Uint8Array) => readGguf(inMemory(file, bytes));

/** The facts of the CheckpointError that reading throws: [tensor, expected, found]. */
function complaint(bytes: Uint8Array): [string, string, string] {
  try {
    read(bytes);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.file).toBe(file);
    return [error.tensor, error.expected, error.found];
  }
  throw new Error("nothing was thrown");
}

/** The file with bytes written over it. */
function patched(at: number, ...values: number[]): Buffer {
  const bytes = ggufBytes(parts);
  bytes.set(values, at);
  return bytes;
}

/** Where the fields of tensor `a` begin: its name is the last "a" with a length of 1 before it. */
const infoOfA = ggufBytes(parts).indexOf(Buffer.from("\x01\0\0\0\0\0\0\0a", "latin1")) + 9;
const dimensionsAt = infoOfA;
const typeAt = infoOfA + 4 + 2 * 8;
const offsetAt = typeAt + 4;

test.each([2, 3])("version %i is read, offsets counted from the file's start", (version) => {
  const bytes = ggufBytes({ ...parts, version });
  const { tensors, metadata, files } = read(bytes);
  const start = bytes.length - 64;
  expect([...tensors.values()]).toEqual([
    { name: "a", file, offset: start, bytes: 32, dtype: "F32", shape: [2, 4] },
    { name: "b", file, offset: start + 32, bytes: 32, dtype: "F32", shape: [8] },
  ]);
  expect([...metadata]).toEqual([["general.architecture", "llama"]]);
  expect(files).toEqual([{ path: file, bytes: bytes.length }]);
});

test("every prefix of a file is a CheckpointError that names the file", () => {
  const bytes = ggufBytes(parts);
  for (let length = 0; length < bytes.length; ++length) complaint(bytes.subarray(0, length));
  expect(read(bytes).tensors.size).toBe(2);
});

test("every prefix of a file on disk is a CheckpointError when it is opened as a model", () => {
  const folder = mkdtempSync(join(tmpdir(), "minicpm-gguf-prefix-"));
  const path = join(folder, file);
  const bytes = ggufBytes(parts);
  try {
    for (let length = 0; length < bytes.length; length += 7) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(() => openModel(path)).toThrow(expect.objectContaining({ code: "CHECKPOINT", file: path }));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a truncated file names the tensor that is cut, and both sizes", () => {
  const bytes = ggufBytes(parts);
  expect(complaint(bytes.subarray(0, -5))).toEqual([
    "b",
    `a file of at least ${bytes.length} bytes`,
    `${bytes.length - 5} bytes`,
  ]);
});

test("another file is told by its first four bytes", () => {
  expect(complaint(Buffer.from("GGML and some more"))).toEqual(["", 'the letters "GGUF"', '"GGML"']);
});

test.each([
  ["1", ggufBytes({ ...parts, version: 1 })],
  ["4", ggufBytes({ ...parts, version: 4 })],
  ["50331648 (3, big-endian)", patched(4, 0, 0, 0, 3)],
])("version %s is not supported", (version, bytes) => {
  expect(() => read(bytes)).toThrow(
    expect.objectContaining({
      code: "UNSUPPORTED",
      what: `GGUF version ${Number.parseInt(version, 10)} (in ${file})`,
      instead: "Versions 2 and 3, little-endian, are.",
    }),
  );
});

test.each([
  ["tensors", 8],
  ["metadata entries", 16],
])("a count of %s beyond the file is refused before anything is allocated", (what, at) => {
  for (const high of [0x10, 0x1f]) {
    const [named, expected, found] = complaint(patched(at, 0, 0, 0, 0, 0, 0, high, 0));
    expect(named).toBe(what);
    expect(expected).toMatch(/^\d+ bytes at \d+$/);
    expect(found).toMatch(/^\d+ bytes of header$/);
  }
  expect(complaint(patched(at, ...Array(8).fill(255)))).toEqual([
    what,
    "a number below 2^53",
    String(2n ** 64n - 1n),
  ]);
});

test("a name longer than the file is refused before anything is allocated", () => {
  const nameLength = infoOfA - 9;
  const [, expected, found] = complaint(patched(nameLength, 0, 0, 0, 0, 1));
  expect(expected).toBe(`${2 ** 32} bytes at ${infoOfA - 1}`);
  expect(found).toBe(`${ggufBytes(parts).length - infoOfA + 1} bytes of header`);
});

test("a metadata key may not come twice", () => {
  const bytes = ggufBytes({ metadata: { aa: uint32(1), ab: uint32(2) }, tensors: [] });
  bytes.write("aa", bytes.indexOf("ab"));
  expect(complaint(bytes)).toEqual(["aa", "the key once", "it twice"]);
});

test("a tensor may not come twice", () => {
  const twice = { ...parts, tensors: [f32("a", 8), f32("a", 8)] };
  expect(complaint(ggufBytes(twice))).toEqual(["a", "the tensor once", "it twice"]);
});

test("__proto__ is a key and a name like any other", () => {
  const metadata = Object.fromEntries([["__proto__", uint32(7)]]);
  const found = read(ggufBytes({ metadata, tensors: [f32("__proto__", 8)] }));
  expect(found.metadata.get("__proto__")).toBe(7);
  expect(found.tensors.get("__proto__")?.shape).toEqual([8]);
});

test("an alignment that the file gives is used", () => {
  const metadata = { "general.alignment": uint32(64) };
  const bytes = ggufBytes({ metadata, tensors: parts.tensors, alignment: 64 });
  expect(read(bytes).tensors.get("b")?.offset).toBe(bytes.length - 64);
});

test.each([0, 1, 4, 24, 33, 2 ** 21, 2 ** 32 - 1])("an alignment of %i is refused", (alignment) => {
  const metadata = { "general.alignment": uint32(alignment) };
  expect(complaint(ggufBytes({ metadata, tensors: [] }))).toEqual([
    "general.alignment",
    "a power of two from 8 to 2^20",
    String(alignment),
  ]);
});

test("an alignment that is no number is refused", () => {
  const metadata = { "general.alignment": string("32") };
  expect(complaint(ggufBytes({ metadata, tensors: [] }))[0]).toBe("general.alignment");
});

test.each([4, 5, 31, 255])("tensor type %i is not supported, and its tensor is named", (type) => {
  expect(() => read(patched(typeAt, type))).toThrow(
    expect.objectContaining({
      code: "UNSUPPORTED",
      what: `Tensor type ${type} of a (in ${file})`,
      instead: expect.stringContaining("Q8_0"),
    }),
  );
});

test("five dimensions are refused by name", () => {
  expect(complaint(patched(dimensionsAt, 5))).toEqual(["a", "at most 4 dimensions", "5"]);
});

test("rows that are no whole quant blocks are refused by name", () => {
  expect(complaint(patched(typeAt, 8))).toEqual(["a", "rows of whole blocks of 32, as Q8_0 has", "[2, 4]"]);
});

test("a shape beyond all integers is refused by name", () => {
  const [tensor, expected, found] = complaint(patched(dimensionsAt + 4, 0, 0, 0, 0, 0, 0, 16));
  expect([tensor, expected]).toEqual(["a", "rows of whole blocks of 1, as F32 has"]);
  expect(found).toBe(`[2, ${2 ** 52}]`);
  expect(complaint(patched(dimensionsAt + 4, ...Array(8).fill(255)))[0]).toBe("a, dimension");
});

test("a tensor beyond the file is refused by name, with both sizes", () => {
  const last = ggufBytes({ ...parts, tensors: [{ ...f32("a", 8), shape: [800] }] });
  expect(complaint(last)).toEqual([
    "a",
    `a file of at least ${last.length - 32 + 3200} bytes`,
    `${last.length} bytes`,
  ]);
});

test("an offset that is not aligned, or beyond all numbers, is refused by name", () => {
  expect(complaint(patched(offsetAt, 4))).toEqual(["a", "an offset that is a multiple of 32", "4"]);
  expect(complaint(patched(offsetAt, ...Array(8).fill(255)))[0]).toBe("a, offset");
});

test("tensors that overlap are refused by name", () => {
  const [tensor, expected, found] = complaint(patched(offsetAt, 32));
  const start = ggufBytes(parts).length - 64;
  expect(["a", "b"]).toContain(tensor);
  expect(expected).toBe(`its bytes from ${start + 64} on`);
  expect(found).toBe(`an overlap with the tensor before: they begin at ${start + 32}`);
});
