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
