// Runs a TypeScript script of this repository from source.
// Usage: node bench/run.mjs SCRIPT.ts [ARGUMENT...]
import { resolve } from "node:path";
import { runnerImport } from "vite";

const [script, ...words] = process.argv.slice(2);
if (!script) {
  console.error("usage: node bench/run.mjs SCRIPT.ts [ARGUMENT...]");
  process.exit(2);
}
process.argv = [process.argv[0], resolve(script), ...words];
await runnerImport(resolve(script), { configFile: false, logLevel: "error" });
