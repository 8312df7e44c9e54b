import { expect, test } from "vitest";
import type { CheckpointError } from "../../src/errors.ts";
import { type ByteSource, inMemory } from "../../src/model/byte-source.ts";
import { readGguf } from "../../src/model/gguf.ts";
import { array, boolean, float32, ggufBytes, string, strings, uint32, uint64 } from "./gguf-writer.ts";

const file = "model.gguf";
const parse = (bytes: Uint8Array) => readGguf(inMemory(file, bytes));

const norm = { name: "output_norm.weight", shape: [4], type: 0, bytes: new Uint8Array(16) };
const quantized = { name: "token_embd.weight", shape: [3, 64], type: 2, bytes: new Uint8Array(3 * 2 * 18) };
const small = ggufBytes({
  metadata: { "general.architecture": string("llama"), "llama.block_count": uint32(2) },
  tensors: [norm, quantized],
});

/** The facts of the CheckpointError that reading throws. */
function complaint(bytes: Uint8Array): [string, string, string] {
  try {
    parse(bytes);
  } catch (error) {
    const { code, file: named, tensor, expected, found } = error as CheckpointError;
    expect([code, named]).toEqual(["CHECKPOINT", file]);
    return [tensor, expected, found];
  }
  throw new Error("nothing was thrown");
}

/** `bytes` with a number written over 8 of them: those after the last place that holds `text`. */
function overwritten(bytes: Buffer, text: string, skip: number, value: bigint): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeBigUInt64LE(value, bytes.indexOf(text) + text.length + skip);
  return copy;
}

test("metadata of every type is read", () => {
  const { metadata } = parse(
    ggufBytes({
      metadata: {
        number: float32(0.5),
        large: uint64(2n ** 60n),
        fits: uint64(7n),
        yes: boolean(true),
        text: string("Grüße 🙂"),
        list: strings(["a", ""]),
        nested: array(
          9,
          [array(4, [uint32(1), uint32(2)]), array(4, [])].map(({ bytes }) => ({ type: 9, bytes })),
        ),
        byte: { type: 0, bytes: Buffer.of(255) },
        negative: { type: 1, bytes: Buffer.of(255) },
        short: { type: 3, bytes: Buffer.of(254, 255) },
        minus: { type: 11, bytes: Buffer.alloc(8, 255) },
        double: { type: 12, bytes: Buffer.from(new Float64Array([1 / 3]).buffer) },
      },
      tensors: [],
    }),
  );
  expect(Object.fromEntries(metadata)).toEqual({
    number: 0.5,
    large: 2n ** 60n,
    fits: 7,
    yes: true,
    text: "Grüße 🙂",
    list: ["a", ""],
    nested: [[1, 2], []],
    byte: 255,
    negative: -1,
    short: -2,
    minus: -1,
    double: 1 / 3,
  });
});

test.each([2, 3])("version %i: tensors have their place, innermost dimension last", (version) => {
  const { tensors, files } = parse(ggufBytes({ metadata: {}, tensors: [norm, quantized], version }));
  const [first, second] = [...tensors.values()];
  expect(first).toMatchObject({ name: norm.name, dtype: "F32", shape: [4], bytes: 16, file });
  expect(second).toMatchObject({ name: quantized.name, dtype: "Q4_0", shape: [3, 64], bytes: 108 });
  expect((second?.offset ?? 0) - (first?.offset ?? 0)).toBe(32);
  expect((first?.offset ?? 1) % 32).toBe(0);
  expect(files).toHaveLength(1);
});

test("general.alignment moves the data", () => {
  const alignment = 512;
  const metadata = { "general.alignment": uint32(alignment) };
  const { tensors } = parse(ggufBytes({ metadata, tensors: [norm, quantized], alignment }));
  expect([...tensors.values()].map(({ offset }) => offset)).toEqual([512, 1024]);
});

test("only the header is read, a window at a time", () => {
  const source = inMemory(
    file,
    ggufBytes({ metadata: {}, tensors: [{ ...norm, shape: [2 ** 20], bytes: new Uint8Array(2 ** 22) }] }),
  );
  let read = 0;
  const watched: ByteSource = {
    ...source,
    read: (offset, length) => {
      read += length;
      return source.read(offset, length);
    },
  };
  readGguf(watched);
  expect(read).toBeLessThanOrEqual(2 ** 18);
});

test("strings across the window's edge are whole", () => {
  const words = Array.from({ length: 20_000 }, (_, i) => `token number ${i}`);
  const { metadata } = parse(
    ggufBytes({ metadata: { words: strings(words), last: string("x".repeat(2 ** 19)) }, tensors: [] }),
  );
  expect(metadata.get("words")).toEqual(words);
  expect(metadata.get("last")).toHaveLength(2 ** 19);
});

test("every truncation is noticed", () => {
  const data = small.length - (32 + 108 + 20);
  for (let length = 0; length < small.length - 20; ++length) complaint(small.subarray(0, length));
  expect(complaint(small.subarray(0, data + 10))[0]).toBe(norm.name);
  expect(parse(small).tensors.size).toBe(2);
});

test("a half-downloaded file names its tensor and both sizes", () => {
  const { offset = 0 } = parse(small).tensors.get(quantized.name) ?? {};
  const [tensor, expected, found] = complaint(small.subarray(0, offset + 50));
  expect([tensor, expected, found]).toEqual([
    quantized.name,
    `a file of at least ${offset + 108} bytes`,
    `${offset + 50} bytes`,
  ]);
});

test("counts and lengths beyond the file allocate nothing", () => {
  const before = process.memoryUsage().arrayBuffers;
  const huge = [2n ** 32n, 2n ** 50n, 2n ** 64n - 1n];
  for (const value of huge) {
    for (const at of [8, 16]) {
      const bytes = Buffer.from(small);
      bytes.writeBigUInt64LE(value, at); // tensors, metadata entries
      complaint(bytes);
    }
    complaint(overwritten(small, "general.architecture", 4, value)); // the string's length
    complaint(overwritten(small, norm.name, 4, value)); // the only dimension
    const list = ggufBytes({ metadata: { list: strings(["a"]) }, tensors: [] });
    complaint(overwritten(list, "list", 8, value)); // the array's length
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 26);
});

test("an offset beyond the file is refused by name", () => {
  const bytes = overwritten(small, norm.name, 4 + 8 + 4, 2n ** 40n);
  expect(complaint(bytes)).toEqual([
    norm.name,
    expect.stringContaining("a file of at least"),
    `${small.length} bytes`,
  ]);
});

test("an offset off the alignment is refused by name", () => {
  const words = complaint(overwritten(small, norm.name, 4 + 8 + 4, 8n));
  expect(words).toEqual([norm.name, "an offset that is a multiple of 32", "8"]);
});

test("tensors that overlap are refused by name", () => {
  const words = complaint(overwritten(small, quantized.name, 4 + 16 + 4, 0n));
  expect([words[0], words[2]]).toEqual([quantized.name, expect.stringContaining("an overlap")]);
});

test.each<[string, Parameters<typeof ggufBytes>[0], string]>([
  [
    "rows of half a block",
    { metadata: {}, tensors: [{ ...quantized, shape: [6, 16] }] },
    "rows of whole blocks of 32, as Q4_0 has",
  ],
  [
    "five dimensions",
    { metadata: {}, tensors: [{ ...norm, shape: [1, 1, 1, 1, 4] }] },
    "at most 4 dimensions",
  ],
  ["the name of another", { metadata: {}, tensors: [norm, norm] }, "the tensor once"],
])("a tensor with %s is refused by name", (_, parts, expected) => {
  const words = complaint(ggufBytes(parts));
  expect(words[0]).toBe(parts.tensors[0]?.name);
  expect(words[1]).toBe(expected);
});

test.each([0, 7, 48, 2 ** 31])("an alignment of %i is refused", (alignment) => {
  const words = complaint(ggufBytes({ metadata: { "general.alignment": uint32(alignment) }, tensors: [] }));
  expect([words[0], words[2]]).toEqual(["general.alignment", String(alignment)]);
});

test("a key that comes twice, a type that is none, and deep nesting are refused by key", () => {
  const twice = Buffer.from(ggufBytes({ metadata: { aa: uint32(1), ab: uint32(2) }, tensors: [] }));
  twice.write("aa", twice.indexOf("ab"));
  expect(complaint(twice)).toEqual(["aa", "the key once", "it twice"]);
  const odd = ggufBytes({ metadata: { odd: { type: 13, bytes: Buffer.alloc(8) } }, tensors: [] });
  expect(complaint(odd)[0]).toBe("odd");
  let deep = array(4, []);
  for (let i = 0; i < 10; ++i) deep = array(9, [deep]);
  expect(complaint(ggufBytes({ metadata: { deep }, tensors: [] }))[0]).toBe("deep");
});

test("another file is no GGUF", () => {
  expect(complaint(Buffer.from("PK\u0003\u0004 and more"))[1]).toBe('the letters "GGUF"');
});

test.each([
  ["version 1", ggufBytes({ metadata: {}, tensors: [], version: 1 }), "GGUF version 1"],
  ["the other byte order", ggufBytes({ metadata: {}, tensors: [], version: 0x3000000 }), "GGUF version"],
  [
    "a tensor type from the future",
    ggufBytes({ metadata: {}, tensors: [{ ...norm, type: 99 }] }),
    "Tensor type 99",
  ],
])("%s is unsupported, and says so", (_, bytes, message) => {
  expect(() => parse(bytes)).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining(message) }),
  );
});
