// Says what ptxas reported of the kernels that test/ptx/Makefile compiled; exit code 1 where numbers of one do not all fit registers.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { worstOf } from "../../native/cuda/ptxas-report.mjs";

const folder = join(import.meta.dirname, "../../build/ptx/kernels/cuda");
let failed = 0;
const ending = ".cu.o.report";
const reports = readdirSync(folder).filter((name) => name.endsWith(ending));
for (const name of reports) {
  const { kernelCount, registers, shared, complaints } = worstOf(readFileSync(join(folder, name), "utf8"));
  const numbers = `${kernelCount} kernels, <= ${registers} registers, <= ${shared} bytes of static shared memory`;
  console.log(
    `${complaints.length ? "FAILED" : "ok    "}  ${name.slice(0, -ending.length).padEnd(20)}  ${numbers}`,
  );
  for (const complaint of complaints) console.log(`        ${complaint}`);
  failed += complaints.length;
}
console.log(`${reports.length} files: ${failed} kernels that spill registers or use local memory`);
process.exitCode = failed || reports.length === 0 ? 1 : 0;
