// nvcc, and the kinds of GPU it can compile for.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../..");

/** Flags that are part of what the kernels mean: the compiler makes no fma of its own, as on the CPU. */
export const kernelFlags = ["-std=c++20", "--expt-relaxed-constexpr", "--fmad=false", "-I", root];

/** The folder of CUDA's toolkit, brought by pip if need be. Where there is no pip either: says so, ends with code 3. */
export function toolkitFolder() {
  try {
    return execFileSync(join(root, "native/cuda/toolkit"), { encoding: "utf8" }).trim();
  } catch (error) {
    if (error.status === 3) console.log("SKIPPED: no nvcc, and no pip to bring it");
    process.exit(error.status ?? 1);
  }
}

/** Those of `wanted` (by default 80, 87, 89, 90 and 120) that this nvcc knows; says which it does not. */
export function knownTargets(nvcc, wanted = ["80", "87", "89", "90", "120"]) {
  const known = execFileSync(nvcc, ["--list-gpu-arch"], { encoding: "utf8" }).split("\n");
  const targets = wanted.filter((target) => known.includes(`compute_${target}`));
  for (const target of wanted.filter((target) => !targets.includes(target))) {
    console.log(`sm_${target}: this nvcc does not know it`);
  }
  if (targets.length === 0) {
    console.error("none of the targets is known to this nvcc");
    process.exit(1);
  }
  return targets;
}
