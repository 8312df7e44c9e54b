/**
 * The worst of what ptxas -v says of a file's kernels.
 *
 * @param {string} report what nvcc printed to stderr
 * @returns {{ kernelCount: number, registers: number, shared: number, complaints: string[] }} the most of one kernel;
 *   a complaint for each kernel whose numbers do not all fit registers
 */
export function worstOf(report) {
  const worst = { kernelCount: 0, registers: 0, shared: 0, complaints: [] };
  let kernel = "";
  for (const line of report.split("\n")) {
    const named = /Function properties for (\S+)/.exec(line);
    if (named) kernel = named[1];
    const memory = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (memory) {
      const [frame, stores, loads] = memory.slice(1).map(Number);
      if (frame + stores + loads > 0) {
        worst.complaints.push(
          `${kernel}: ${frame} bytes of local memory, ${stores} spilled, ${loads} read back`,
        );
      }
    }
    const used = /Used (\d+) registers/.exec(line);
    if (!used) continue;
    worst.kernelCount++;
    worst.registers = Math.max(worst.registers, Number(used[1]));
    worst.shared = Math.max(worst.shared, Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0));
  }
  return worst;
}
