// Compiles every kernel of kernels/cuda/ for real GPUs, and fails where the compiler put a thread's numbers into memory.
//
// Usage: node native/cuda/compile.mjs [--targets 80,90] [--out FOLDER]
//   --targets   compute capabilities; default: 80, 87, 89, 90 and 120, those that this nvcc knows
//   --out       where <kernel>.sm_<target>.cubin and <kernel>.ptx go; default: nowhere, they are only checked
//
// nvcc is the one that native/cuda/toolkit names. PTX is for the lowest target. Prints a line for each kernel file and target:
// seconds, kernels, the most registers and static shared memory of one. Exit codes: 0 all is well, 1 a kernel does not compile,
// spills registers or uses local memory, 3 there is no nvcc and no pip to bring it.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { kernelFlags, knownTargets, root, toolkitFolder } from "./nvcc.mjs";
import { worstOf } from "./ptxas-report.mjs";

const { values } = parseArgs({ options: { targets: { type: "string" }, out: { type: "string" } } });

const nvcc = join(toolkitFolder(), "bin/nvcc");
const targets = knownTargets(nvcc, values.targets?.split(","));

const out = values.out ?? mkdtempSync(join(tmpdir(), "minicpm-cuda-"));
mkdirSync(out, { recursive: true });
const kernels = join(root, "kernels/cuda");
const files = readdirSync(kernels).filter((name) => name.endsWith(".cu"));
const jobs = files.flatMap((file) => [
  ...targets.map((target) => ({ file, target, kind: "cubin" })),
  { file, target: targets[0], kind: "ptx" },
]);

let failed = 0;

/** One file for one target. */
function compile({ file, target, kind }) {
  const name = file.replace(/\.cu$/, kind === "ptx" ? ".ptx" : `.sm_${target}.cubin`);
  const code = kind === "ptx" ? `compute_${target}` : `sm_${target}`;
  const options = [`-arch=${code}`, `-${kind}`, "-o", join(out, name), join(kernels, file)];
  const began = performance.now();
  return new Promise((done) => {
    execFile(
      nvcc,
      [...kernelFlags, "-Xptxas", "-v", ...options],
      { encoding: "utf8", maxBuffer: 2 ** 26 },
      (error, printed, report) => {
        const seconds = ((performance.now() - began) / 1000).toFixed(1);
        const { kernelCount, registers, shared, complaints } = worstOf(report);
        const problems = error ? [`does not compile:\n${printed}${report}`] : complaints;
        const numbers =
          kind === "ptx"
            ? ""
            : `${kernelCount} kernels, <= ${registers} registers, <= ${shared} bytes of static shared memory`;
        console.log(
          `${problems.length > 0 ? "FAILED" : "ok    "}  ${name.padEnd(30)} ${seconds} s  ${numbers}`,
        );
        for (const problem of problems) console.log(`        ${problem}`);
        if (problems.length > 0) failed++;
        done();
      },
    );
  });
}

async function work() {
  for (let job = jobs.shift(); job; job = jobs.shift()) await compile(job);
}

await Promise.all(Array.from({ length: availableParallelism() }, work));
if (!values.out) rmSync(out, { recursive: true });
console.log(`${files.length} files, sm_${targets.join(", sm_")} and PTX: ${failed} failed`);
process.exit(failed ? 1 : 0);
