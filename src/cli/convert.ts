/** `minicpm convert`: a folder as a GGUF file, and back. */
import { type Command, Option } from "commander";
import { type GgufType, ggufTypes, toGguf } from "../convert/to-gguf.ts";
import { dequantize, type PlainType, plainTypes } from "../quantize/dequantize.ts";
import { addOutputOptions, applyOutputOptions, type OutputOptions } from "./command-options.ts";
import { UsageError } from "./failure.ts";
import { interruptible } from "./interrupt.ts";
import { escaped } from "./printable.ts";
import { formatBytes, formatDuration } from "./quantities.ts";
import { bytesStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

type Type = GgufType | PlainType;

interface ConvertFlags extends OutputOptions {
  readonly type?: Type;
}

export function addConvertCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("convert")
    .summary("write a folder as a GGUF file, or a GGUF file as a folder")
    .description(
      "Write a Hugging Face folder as a .gguf file, with its tokenizer and chat template, for llama.cpp and what is " +
        "built on it; or a .gguf file as a folder. The end of OUT says which.",
    )
    .argument("<model>", "a folder or .gguf file, or a name of one as for the other commands")
    .argument("<out>", "FILE.gguf, or the folder to write; it must not be there yet")
    .addOption(
      new Option(
        "--type <type>",
        `what matrices become: ${ggufTypes.join(", ")} (the default, F16) in a file, ${plainTypes.join(", ")} in a ` +
          "folder (BF16)",
      ).choices([...new Set<Type>([...ggufTypes, ...plainTypes])]),
    );
  addOutputOptions(command, "one JSON object: path, type, bytes, seconds");
  command.action(async (model: string, out: string, options: ConvertFlags) => {
    applyOutputOptions(terminal, options);
    const start = performance.now();
    const toFile = out.toLowerCase().endsWith(".gguf");
    const type = options.type ?? (toFile ? "F16" : "BF16");
    const { path, bytes } = await interruptible((signal) => {
      const onProgress = ({ done, total }: { done: number; total: number }): void =>
        terminal.status.show(bytesStatus("writing", done, total));
      return toFile
        ? toGguf(model, out, { type: oneOf(ggufTypes, type, "file"), signal, onProgress })
        : dequantize(model, out, { type: oneOf(plainTypes, type, "folder"), signal, onProgress });
    }).finally(() => terminal.status.clear());
    const ms = performance.now() - start;
    if (options.json) return terminal.json({ path, type, bytes, seconds: ms / 1000 });
    terminal.line(`${escaped(path)}: ${type}, ${formatBytes(bytes)}, ${formatDuration(ms)}.`);
  });
}

function oneOf<T extends Type>(types: readonly T[], type: Type, what: string): T {
  const found = types.find((each) => each === type);
  if (found) return found;
  throw new UsageError(`--type of a ${what} has to be ${types.join(" or ")}, not ${type}.`);
}
