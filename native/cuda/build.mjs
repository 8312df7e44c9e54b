// Builds the CUDA plug-in into build/Release/minicpm_cuda.so, beside the addon, by cmake-js.
//
// Usage: node native/cuda/build.mjs [--targets 80,90] [--jobs N]
//   --targets   compute capabilities; default: 80, 87, 89, 90 and 120, those that this nvcc knows, and PTX of the first
//   --jobs      compilers at once; default: one a core, at most 8 (each takes about 1 GB of memory)
//
// Needs cmake, a C++20 compiler (the addon's own), and nvcc, which native/cuda/toolkit brings by pip where there is none.
// Exit codes: 0 it is built, 1 something failed, 3 there is no nvcc and no pip to bring it.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { kernelFlags, knownTargets, root, toolkitFolder } from "./nvcc.mjs";

const { values } = parseArgs({ options: { targets: { type: "string" }, jobs: { type: "string" } } });
const toolkit = toolkitFolder();
const targets = knownTargets(join(toolkit, "bin/nvcc"), values.targets?.split(","));
const jobs = values.jobs ?? String(Math.min(8, availableParallelism()));

const packaged = createRequire(import.meta.url).resolve("cmake-js/package.json");
const settings = { TOOLKIT: toolkit, TARGETS: targets.join(";"), KERNEL_FLAGS: kernelFlags.join(";") };
const options = ["--directory", import.meta.dirname, "--out", join(root, "build/cuda"), "--parallel", jobs];
for (const [name, value] of Object.entries(settings)) options.push(`--CD${name}=${value}`);
execFileSync(
  process.execPath,
  [join(dirname(packaged), "bin/cmake-js"), "build", "--log-level", "warn", ...options],
  {
    stdio: "inherit",
  },
);

// By a rename: a process that has the old one open keeps it.
const built = join(root, "build/Release/minicpm_cuda.so");
mkdirSync(dirname(built), { recursive: true });
copyFileSync(join(root, "build/cuda/Release/minicpm_cuda.so"), `${built}.new`);
renameSync(`${built}.new`, built);
console.log(`${built}: sm_${targets.join(", sm_")} and PTX`);
