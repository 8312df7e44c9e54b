/** `minicpm quantize`: a packed folder out of a model, loaded without rounding anything again. */
import { type Command, Option } from "commander";
import { packFormats, packGroups } from "../model/packed-model.ts";
import type { Packing } from "../native/binding.ts";
import { quantize } from "../quantize/quantize.ts";
import {
  addOutputOptions,
  applyOutputOptions,
  guarded,
  type OutputOptions,
  oneOfNumbers,
  threadsOption,
} from "./command-options.ts";
import { interruptible } from "./interrupt.ts";
import { escaped } from "./printable.ts";
import { formatBytes, formatDuration } from "./quantities.ts";
import { bytesStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

interface QuantizeFlags extends OutputOptions, Packing {
  readonly threads?: number;
  readonly force?: boolean;
}

export function addQuantizeCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("quantize")
    .summary("round a model's weights once, into a folder that loads at once")
    .description(
      "Round a model's weights to 8, 4 or 2 bits (ternary), head and embedding to 8, and write them as a folder that " +
        "every command takes as a MODEL. Its weights are mapped as they are: the answers are those of --pack with the " +
        "same format and group.",
    )
    .argument("<model>", "a folder or .gguf file, or a name of one as for the other commands")
    .argument("<out>", "the folder to write; it must not be there yet")
    .addOption(new Option("--format <format>", "bits of a weight").choices(packFormats).default("w4"))
    .addOption(
      new Option("--group <count>", "weights that share a scale")
        .argParser(guarded(oneOfNumbers(packGroups)))
        .default(128),
    )
    .addOption(threadsOption("threads that pack"))
    .option("--force", "replace a packed folder that is there");
  addOutputOptions(command, "one JSON object: path, format, group, sourceBytes, bytes, seconds");
  command.action(async (model: string, out: string, options: QuantizeFlags) => {
    applyOutputOptions(terminal, options);
    const { format, group, threads, force } = options;
    const start = performance.now();
    const done = await interruptible((signal) =>
      quantize(model, out, {
        format,
        group,
        threads,
        force,
        signal,
        onProgress: ({ done, total }) => terminal.status.show(bytesStatus("packing", done, total)),
      }),
    ).finally(() => terminal.status.clear());
    const ms = performance.now() - start;
    if (options.json) return terminal.json({ ...done, format, group, seconds: ms / 1000 });
    const sizes = `${formatBytes(done.bytes)} from ${formatBytes(done.sourceBytes)}`;
    terminal.line(`${escaped(done.path)}: ${format} in groups of ${group}, ${sizes}, ${formatDuration(ms)}.`);
  });
}
