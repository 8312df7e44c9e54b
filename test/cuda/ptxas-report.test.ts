import { expect, test } from "vitest";
import { worstOf } from "../../native/cuda/ptxas-report.mjs";

const report = (frame: number, stores: number) => `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z5firstv' for 'sm_80'
ptxas info    : Function properties for _Z5firstv
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 36 registers, used 1 barriers, 4552 bytes smem, 376 bytes cmem[0]
ptxas info    : Compiling entry function '_Z6secondv' for 'sm_80'
ptxas info    : Function properties for _Z6secondv
    ${frame} bytes stack frame, ${stores} bytes spill stores, 0 bytes spill loads
ptxas info    : Used 168 registers, used 0 barriers, 376 bytes cmem[0]
`;

test("a report of ptxas gives the number of kernels and the most registers and shared memory of one", () => {
  expect(worstOf(report(0, 0))).toEqual({ kernelCount: 2, registers: 168, shared: 4552, complaints: [] });
  expect(worstOf("").kernelCount).toBe(0);
});

test.each([
  [32, 0],
  [0, 8],
])("a kernel with local memory or spilled registers is named: %i bytes, %i spilled", (frame, stores) => {
  const { complaints } = worstOf(report(frame, stores));
  expect(complaints).toEqual([`_Z6secondv: ${frame} bytes of local memory, ${stores} spilled, 0 read back`]);
});
