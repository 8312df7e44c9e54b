/** `minicpm dequantize`: an ordinary Hugging Face folder out of packed or quantized weights. */
import { type Command, Option } from "commander";
import { dequantize, type PlainType, plainTypes } from "../quantize/dequantize.ts";
import { addOutputOptions, applyOutputOptions, type OutputOptions } from "./command-options.ts";
import { interruptible } from "./interrupt.ts";
import { escaped } from "./printable.ts";
import { formatBytes, formatDuration } from "./quantities.ts";
import { bytesStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

interface DequantizeFlags extends OutputOptions {
  readonly type: PlainType;
}

export function addDequantizeCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("dequantize")
    .summary("write packed or quantized weights as an ordinary folder")
    .description(
      "Write the weights of a packed folder or a .gguf file as a Hugging Face folder, with config, tokenizer and chat " +
        "template. F32 holds each weight exactly.",
    )
    .argument("<model>", "a folder or .gguf file, or a name of one as for the other commands")
    .argument("<out>", "the folder to write; it must not be there yet")
    .addOption(
      new Option("--type <type>", "what weights are written as").choices(plainTypes).default("BF16"),
    );
  addOutputOptions(command, "one JSON object: path, type, bytes, seconds");
  command.action(async (model: string, out: string, options: DequantizeFlags) => {
    applyOutputOptions(terminal, options);
    const { type } = options;
    const start = performance.now();
    const { path, bytes } = await interruptible((signal) =>
      dequantize(model, out, {
        type,
        signal,
        onProgress: ({ done, total }) => terminal.status.show(bytesStatus("writing", done, total)),
      }),
    ).finally(() => terminal.status.clear());
    const ms = performance.now() - start;
    if (options.json) return terminal.json({ path, type, bytes, seconds: ms / 1000 });
    terminal.line(`${escaped(path)}: ${type}, ${formatBytes(bytes)}, ${formatDuration(ms)}.`);
  });
}
