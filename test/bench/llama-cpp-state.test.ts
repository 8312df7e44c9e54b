import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { repeatState } from "../../src/bench/llama-cpp-state.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-state-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const numbers = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);

/** Two layers of `cells` cells of sequence 0: keys in rows of 4 bytes, values in rows of 2, or 2 columns of 2. */
function state(cells: number, transposed: boolean, byteOf: (layer: number, cell: number) => number): Buffer {
  const layer = (index: number, size: number) =>
    Buffer.concat(Array.from({ length: cells }, (_, cell) => Buffer.alloc(size, byteOf(index, cell))));
  const rows = (index: number, size: number) => [numbers(1, size, 0), layer(index, size)];
  const columns = (index: number) => [numbers(1, 2, 2), layer(index, 2), layer(index + 10, 2)];
  return Buffer.concat([
    numbers(0x67677371, 9, cells, ...Array(cells).fill(0), 1, cells),
    ...Array.from({ length: cells }, (_, cell) => numbers(cell, 1, 0)),
    numbers(transposed ? 1 : 0, 2),
    ...[0, 1].flatMap((index) => rows(index, 4)),
    ...[2, 3].flatMap((index) => (transposed ? columns(index) : rows(index, 2))),
  ]);
}

const byteOf = (layer: number, cell: number) => 16 * layer + cell;

test.each([false, true])("cells are repeated at new positions, values transposed: %s", (transposed) => {
  const [from, to] = [join(folder, "from"), join(folder, "to")];
  writeFileSync(from, state(3, transposed, byteOf));
  repeatState(from, to, 8);
  expect(readFileSync(to)).toEqual(state(8, transposed, (layer, cell) => byteOf(layer, cell % 3)));
  repeatState(from, to, 3);
  expect(readFileSync(to)).toEqual(readFileSync(from));
});

test.each([
  ["another magic number", (bytes: Buffer) => bytes.fill(0, 0, 4)],
  ["a cut", (bytes: Buffer) => bytes.subarray(0, -1)],
  ["more at its end", (bytes: Buffer) => Buffer.concat([bytes, numbers(1)])],
  ["several streams", (bytes: Buffer) => bytes.fill(2, 24, 25)],
  ["cells out of order", (bytes: Buffer) => bytes.fill(7, 32, 33)],
])("a state with %s is refused", (_, change) => {
  const from = join(folder, "from");
  writeFileSync(from, change(state(3, false, byteOf)));
  expect(() => repeatState(from, join(folder, "to"), 8)).toThrow(/not laid out as this bench knows it/);
});
