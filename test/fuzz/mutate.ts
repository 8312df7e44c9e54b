/** Random changes to bytes. Each is a pure function of its input and the generator's state. */

/** Lengths, counts, offsets and numbers that parsers trip over. */
const integers = [
  0n,
  1n,
  2n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fff_ffffn,
  0xffff_ffffn,
  1n << 53n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
];
const words = [
  "{",
  "}",
  "[",
  "]",
  '"',
  ",",
  ":",
  "null",
  "true",
  "-1",
  "0",
  "1e999",
  "0.5",
  "9007199254740993",
  '"__proto__"',
  '""',
  "\\ud800",
  '"F32"',
  '"BF16"',
].map((word) => Buffer.from(word));

type Mutation = (bytes: Buffer, at: number, random: () => number, others: readonly Buffer[]) => Buffer;

const mutations: readonly Mutation[] = [
  function flipBit(bytes, at, random) {
    bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8, random));
    return bytes;
  },
  function setByte(bytes, at, random) {
    bytes[at] = below(256, random);
    return bytes;
  },
  function setInteger(bytes, at, random) {
    const value = integers[below(integers.length, random)] ?? 0n;
    const width = 1 << below(4, random);
    const coded = Buffer.alloc(8);
    coded.writeBigUInt64LE(value);
    coded.copy(bytes, at, 0, Math.min(width, bytes.length - at));
    return bytes;
  },
  function addToByte(bytes, at, random) {
    bytes[at] = (bytes[at] ?? 0) + below(33, random) - 16;
    return bytes;
  },
  function remove(bytes, at, random) {
    const length = below(16, random) + 1;
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
  },
  function truncate(bytes, at) {
    return bytes.subarray(0, at);
  },
  function insertWord(bytes, at, random) {
    const word = words[below(words.length, random)] ?? Buffer.alloc(0);
    return Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(at)]);
  },
  function repeat(bytes, at, random) {
    const stretch = bytes.subarray(at, at + below(64, random) + 1);
    return Buffer.concat([bytes.subarray(0, at), stretch, bytes.subarray(at)]);
  },
  function splice(bytes, at, random, others) {
    const other = others[below(others.length, random)] ?? bytes;
    const from = below(other.length + 1, random);
    const length = below(64, random);
    return Buffer.concat([
      bytes.subarray(0, at),
      other.subarray(from, from + length),
      bytes.subarray(at + length),
    ]);
  },
];

/** A copy of `bytes` with one to four changes; `others` lend stretches. At most `longest` bytes. */
export function mutate(
  bytes: Uint8Array,
  others: readonly Buffer[],
  random: () => number,
  longest = 1 << 16,
): Buffer {
  let mutant: Buffer = Buffer.from(bytes);
  for (let changes = below(4, random) + 1; changes > 0; changes--) {
    const mutation = mutations[below(mutations.length, random)];
    mutant = mutation?.(mutant, below(mutant.length + 1, random), random, others) ?? mutant;
  }
  return Buffer.from(mutant.subarray(0, longest));
}

function below(count: number, random: () => number): number {
  return Math.floor(random() * count);
}
