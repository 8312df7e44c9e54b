import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const objects = join(import.meta.dirname, "../../build/Release/obj.target");
const sets = ["baseline", "avx2", "avx512"];

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

test.skipIf(!existsSync(join(objects, "cpu_avx512")))(
  "the AVX-512 tile of two by six multiplies from registers alone (needs `npm run build:native`)",
  () => {
    const object = join(objects, "cpu_avx512/kernels/cpu/linear_packed.o");
    const code = execFileSync("objdump", ["-dC", "--no-show-raw-insn", object], { encoding: "utf8" });
    // multiply_block<w4, 6>: 32 columns of 2 tiles x 6 rows are 96 products; the single tile's 48 come on top.
    const block = code
      .split(/\n\n/)
      .find((text) => /^\w+ <.*multiply_block<\(minicpm::DType\)5, 6>/.test(text));
    const products = block?.split("\n").filter((line) => line.includes("vpdpbusd")) ?? [];
    expect(products.length).toBe(96 + 48);
    expect(products.filter((line) => line.includes("(")).length).toBeLessThanOrEqual(48);
    // One broadcast of activations serves both tiles.
    const broadcasts = block?.split("\n").filter((line) => /vpbroadcastd .*\(/.test(line)) ?? [];
    expect(broadcasts.length).toBeLessThanOrEqual(48 + 48 + 12);
  },
);
