import { defineConfig } from "vitest/config";

/**
 * Two sets: `npm test` runs `fast`, `npm run test:slow` runs `*.slow.test.ts` (real weights and real sizes, gigabytes
 * and minutes). Slow files run one after the other: they measure memory, and each wants all cores. Without CUDA, whatever
 * was built: tests that want it name the plug-in.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          env: { MINICPM_CUDA: "off" },
          include: ["test/**/*.test.ts"],
          exclude: ["**/*.slow.test.ts", "**/node_modules/**", "build/**", "dist/**"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "slow",
          env: { MINICPM_CUDA: "off" },
          include: ["test/**/*.slow.test.ts"],
          exclude: ["**/node_modules/**", "build/**", "dist/**"],
          testTimeout: 900_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
