/** The command line as a whole: every command, and what is the same for all of them. */
import { Command } from "commander";
import { addBenchCommand } from "./bench.ts";
import { addCacheCommand } from "./cache.ts";
import { addChatCommand } from "./chat.ts";
import { addCompleteCommand } from "./complete.ts";
import { addConvertCommand } from "./convert.ts";
import { addDequantizeCommand } from "./dequantize.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addInspectCommand } from "./inspect.ts";
import { addMcpCommand } from "./mcp.ts";
import { addQuantizeCommand } from "./quantize.ts";
import { addReadCommand } from "./read.ts";
import { addRunCommand } from "./run.ts";
import type { Terminal } from "./terminal.ts";
import { addTokenizeCommand } from "./tokenize.ts";

/** @returns a program whose `parseAsync` throws CommanderError for bad usage and prints nothing of it. */
export function createProgram(terminal: Terminal, version: string): Command {
  const program = new Command("minicpm")
    .description("MiniCPM language models on this machine. Answers go to stdout, everything else to stderr.")
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.line(text.replace(/\n$/, "")),
      writeErr: (text) => terminal.message(text.replace(/\n$/, "")),
      outputError: () => {}, // told by failure.ts
    })
    .addHelpText("after", "\nExit codes: 0 done, 1 error, 2 usage, 130 interrupted.");
  for (const add of [
    addChatCommand,
    addRunCommand,
    addCompleteCommand,
    addMcpCommand,
    addReadCommand,
    addCacheCommand,
    addTokenizeCommand,
    addInspectCommand,
    addQuantizeCommand,
    addDequantizeCommand,
    addConvertCommand,
    addBenchCommand,
  ]) {
    add(program, terminal);
  }
  addDoctorCommand(program, terminal, version);
  return program;
}
