#!/usr/bin/env node
/** `minicpm`: runs the command line and turns what happens into an exit code. */
import { implementation } from "../tools/mcp-implementation.ts";
import { exitCodes, reportFailure } from "./failure.ts";
import { createProgram } from "./program.ts";
import { Terminal } from "./terminal.ts";

// The reader of a pipe has left (`| head`): nothing more to say, and nobody to say it to.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.error);
  });
}

const terminal = new Terminal();
const flags = process.argv.slice(2, process.argv.includes("--") ? process.argv.indexOf("--") : undefined);
try {
  await createProgram(terminal, implementation.version).parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error, terminal, {
    json: flags.includes("--json"),
    verbose: flags.some((flag) => flag === "--verbose" || flag === "-v"),
  });
}
