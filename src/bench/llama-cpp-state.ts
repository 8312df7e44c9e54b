/**
 * The file in which llama.cpp keeps a sequence's keys and values (llama_state_seq_save_file), made longer by repeating them:
 * so that a bench need not have it read tens of thousands of tokens to hold as many.
 *
 * As it is laid out, little-endian: magic "ggsq", version, count and ids of tokens; streams; for the one stream the count of
 * cells, for each cell its position, the count of its sequences and their ids; whether values are transposed; layers; for
 * each layer type, bytes of a row and rows of keys; then values the same, or transposed: type, bytes of a number, rows, and
 * for each row a number a cell.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const magic = 0x67677371;

/**
 * Writes `to` with `cells` cells: those of `from` over and over, at positions 0, 1, 2 and on.
 *
 * @throws Error where `from` is laid out in another way
 */
export function repeatState(from: string, to: string, cells: number): void {
  const state = readState(readFileSync(from));
  const file = openSync(to, "w");
  try {
    for (const piece of pieces(state, cells))
      for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
  } finally {
    closeSync(file);
  }
}

interface State {
  readonly version: number;
  readonly cells: number;
  /** Of each cell. */
  readonly sequences: readonly number[];
  readonly transposed: boolean;
  readonly layers: readonly { readonly keys: Rows; readonly values: Rows }[];
}

/** What is repeated: runs of `cells` pieces, each run behind a head of its own. */
interface Rows {
  readonly head: Buffer;
  readonly runs: readonly Buffer[];
}

function readState(bytes: Buffer): State {
  let at = 0;
  const take = (length: number) => {
    if (at + length > bytes.length) throw other("it ends early");
    at += length;
    return bytes.subarray(at - length, at);
  };
  const number = () => take(4).readUInt32LE();
  if (number() !== magic) throw other("its magic number is another");
  const version = number();
  take(4 * number());
  if (number() !== 1) throw other("it has several streams");
  const cells = number();
  let sequences: number[] = [];
  for (let cell = 0; cell < cells; ++cell) {
    if (number() !== cell) throw other("its cells are not in order");
    sequences = Array.from({ length: number() }, number);
  }
  const transposed = number() === 1;
  const layers = number();
  const rows = (): Rows => {
    const head = take(12);
    return { head, runs: [take(cells * Number(head.readBigUInt64LE(4)))] };
  };
  const columns = (): Rows => {
    const head = take(12);
    const [size, count] = [head.readUInt32LE(4), head.readUInt32LE(8)];
    return { head, runs: Array.from({ length: count }, () => take(cells * size)) };
  };
  const keys = Array.from({ length: layers }, rows);
  const values = Array.from({ length: layers }, transposed ? columns : rows);
  if (at !== bytes.length) throw other(`${bytes.length - at} bytes are left`);
  const each = keys.map((key, i) => ({ keys: key, values: values[i] as Rows }));
  return { version, cells, sequences, transposed, layers: each };
}

function* pieces(
  { version, cells: held, sequences, transposed, layers }: State,
  cells: number,
): Generator<Buffer> {
  yield numbers([magic, version, cells, ...Array<number>(cells).fill(0)]);
  yield numbers([1, cells]);
  yield numbers(Array.from({ length: cells }, (_, cell) => [cell, sequences.length, ...sequences]).flat());
  yield numbers([transposed ? 1 : 0, layers.length]);
  for (const { keys } of layers) yield* repeated(keys, held, cells);
  for (const { values } of layers) yield* repeated(values, held, cells);
}

function* repeated({ head, runs }: Rows, held: number, cells: number): Generator<Buffer> {
  yield head;
  for (const run of runs) {
    const whole = Math.floor(cells / held);
    const rest = (run.length / held) * (cells % held);
    yield Buffer.concat([...Array<Buffer>(whole).fill(run), run.subarray(0, rest)]);
  }
}

function numbers(values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

function other(what: string): Error {
  return new Error(`llama.cpp's state is not laid out as this bench knows it: ${what}.`);
}
