// Builds the CUDA plug-in into build/Release/minicpm_cuda.so, beside the addon, by cmake-js.
//
// Usage: node native/cuda/build.mjs [--targets 80,90] [--jobs N] [--stand-in FILE]
//   --targets   compute capabilities; default: 80, 87, 89, 90 and 120, those that this nvcc knows, and PTX of the first
//   --jobs      compilers at once; default: one a core, at most 8 (each takes about 1 GB of memory)
//   --stand-in  for tests: what is linked in place of CUDA's runtime, and runs the first target's PTX
//               (libcudart_stand_in.a of test/ptx); makes build/Release/minicpm_cuda_stand_in.so
//
// Needs cmake, a C++20 compiler (the addon's own), and nvcc, which native/cuda/toolkit brings by pip where there is none.
// Exit codes: 0 it is built, 1 something failed, 3 there is no nvcc and no pip to bring it.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { kernelFlags, knownTargets, root, toolkitFolder } from "./nvcc.mjs";

const { values } = parseArgs({
  options: { targets: { type: "string" }, jobs: { type: "string" }, "stand-in": { type: "string" } },
});
const standIn = values["stand-in"];
const name = standIn ? "minicpm_cuda_stand_in" : "minicpm_cuda";
const toolkit = toolkitFolder();
const targets = knownTargets(join(toolkit, "bin/nvcc"), values.targets?.split(","));
const jobs = values.jobs ?? String(Math.min(8, availableParallelism()));

const packaged = createRequire(import.meta.url).resolve("cmake-js/package.json");
const out = join(root, "build", name);
// The interpreter reads PTX as it stands in the objects.
const flags = [...kernelFlags, ...(standIn ? ["-no-compress"] : [])];
const settings = { TOOLKIT: toolkit, TARGETS: targets.join(";"), KERNEL_FLAGS: flags.join(";") };
if (standIn) settings.CUDART = resolve(standIn);
const options = ["--directory", import.meta.dirname, "--out", out, "--parallel", jobs];
for (const [setting, value] of Object.entries(settings)) options.push(`--CD${setting}=${value}`);
execFileSync(
  process.execPath,
  [join(dirname(packaged), "bin/cmake-js"), "build", "--log-level", "warn", ...options],
  {
    stdio: "inherit",
  },
);

// By a rename: a process that has the old one open keeps it.
const built = join(root, "build/Release", `${name}.so`);
mkdirSync(dirname(built), { recursive: true });
copyFileSync(join(out, "Release/minicpm_cuda.so"), `${built}.new`);
renameSync(`${built}.new`, built);
console.log(`${built}: sm_${targets.join(", sm_")} and PTX`);
