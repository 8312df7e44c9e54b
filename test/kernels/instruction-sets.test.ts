import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const objects = join(import.meta.dirname, "../../build/Release/obj.target");
const sets = ["baseline", "avx2", "avxvnni", "avx512"];

/** Names that the set's objects define weakly: of several definitions in one program, the linker keeps any one. */
function weakSymbols(set: string): string[] {
  const folder = join(objects, `cpu_${set}`, "kernels/cpu");
  const files = readdirSync(folder).filter((name) => name.endsWith(".o"));
  return files.flatMap((name) =>
    execFileSync("nm", ["--demangle", join(folder, name)], { encoding: "utf8" })
      .split("\n")
      .filter((line) => / [WVu] /.test(line))
      .map((line) => line.slice(19)),
  );
}

test.skipIf(!sets.every((set) => existsSync(join(objects, `cpu_${set}`))))(
  "no code compiled for one instruction set can be the copy that another one runs (needs `npm run build:native`)",
  () => {
    for (const set of sets) {
      const shared = weakSymbols(set).filter((name) => !name.includes(`minicpm::${set}::`));
      expect(shared, `weak names of ${set} that are not its own`).toEqual([]);
    }
  },
);

function disassembled(object: string): string {
  const options = { encoding: "utf8", maxBuffer: 2 ** 26 } as const;
  return execFileSync("objdump", ["-dC", "--no-show-raw-insn", object], options);
}

test.skipIf(!existsSync(join(objects, "cpu_avx512")))(
  "two unpacked tiles times six rows multiply from registers alone with AVX-512 (needs `npm run build:native`)",
  () => {
    const object = join(objects, "cpu_avx512/kernels/cpu/linear_packed.o");
    const code = disassembled(object);
    // multiply_unpacked<w4, symmetric>: 32 columns of 2 tiles x 6 rows are 96 products in one loop.
    const lines = code
      .split(/\n\n/)
      .find((text) => /^\w+ <.*multiply_unpacked<\(minicpm::DType\)8, \(minicpm::Scales\)0>/.test(text))
      ?.split("\n")
      .map((line) => line.split("\t")[1] ?? "");
    const products = lines?.flatMap((line, index) => (line.startsWith("vpdpbusd") ? [index] : [])) ?? [];
    expect(products.length).toBe(96);
    const inner = lines?.slice(products[0], (products.at(-1) ?? 0) + 1) ?? [];
    expect(inner.filter((line) => /^vpdpbusd .*\(|\(%r[sb]p/.test(line))).toEqual([]);
    // One broadcast of activations serves both tiles.
    expect(inner.filter((line) => /^vpbroadcastd .*\(/.test(line)).length).toBeLessThanOrEqual(48);
  },
);

/** multiply_block<w4, symmetric, 6> of a set of 256-bit vectors: 12 sums, 2 vectors of weights and an activation in 16 registers.
 * With the last of 96 products gcc stores sums that it reads no more, and AVX2 loads its mask anew. */
test.skipIf(!sets.every((set) => existsSync(join(objects, `cpu_${set}`)))).each([
  { set: "avx2", product: /^\{?vpmaddubsw/, setAside: 28 },
  { set: "avxvnni", product: /^\{vex\} vpdpbusd/, setAside: 10 },
])(
  "the $set tile of six keeps its sums in registers (needs `npm run build:native`)",
  ({ set, product, setAside }) => {
    const object = join(objects, `cpu_${set}/kernels/cpu/linear_packed.o`);
    const code = disassembled(object);
    const tile = code
      .split(/\n\n/)
      .find((text) => /^\w+ <.*multiply_block<\(minicpm::DType\)8, \(minicpm::Scales\)0, 6>/.test(text))
      ?.split("\n")
      .map((line) => line.split("\t")[1] ?? "");
    const products = tile?.flatMap((line, index) => (product.test(line) ? [index] : [])) ?? [];
    expect(products.length).toBe(96);
    const inner = tile?.slice(products[0], (products.at(-1) ?? 0) + 1) ?? [];
    expect(inner.filter((line) => /\(%r[sb]p/.test(line)).length).toBeLessThanOrEqual(setAside);
  },
);
