/** See ptxas-report.mjs. */
export function worstOf(report: string): {
  kernelCount: number;
  registers: number;
  shared: number;
  complaints: string[];
};
