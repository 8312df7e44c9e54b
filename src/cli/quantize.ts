/** `minicpm quantize`: a packed folder out of a model, loaded without rounding anything again. */
import { type Command, Option } from "commander";
import { type PackMethod, packFormats, packGroups, packMethods } from "../model/packed-model.ts";
import type { ModelComparison, Packing } from "../native/binding.ts";
import { perplexity } from "../quantize/model-card.ts";
import { defaultMethod, type QuantizeProgress, quantize } from "../quantize/quantize.ts";
import {
  addOutputOptions,
  applyOutputOptions,
  guarded,
  type OutputOptions,
  oneOfNumbers,
  threadsOption,
} from "./command-options.ts";
import { UsageError } from "./failure.ts";
import { givenFile } from "./given-file.ts";
import { interruptible } from "./interrupt.ts";
import { escaped } from "./printable.ts";
import { formatBytes, formatDuration } from "./quantities.ts";
import { integer } from "./settings.ts";
import { bytesStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

interface QuantizeFlags extends OutputOptions, Packing {
  readonly method: PackMethod;
  readonly calibration?: string;
  readonly calibrationTokens?: number;
  readonly threads?: number;
  readonly force?: boolean;
}

export function addQuantizeCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("quantize")
    .summary("round a model's weights once, into a folder that loads at once")
    .description(
      "Round a model's weights to 8, 4 or 2 bits (ternary), head and embedding to 8, and write them as a folder that " +
        "every command takes as a MODEL, whose weights are mapped as they are. GPTQ rounds column by column, each " +
        "making up for the errors before it, by what a text makes of each layer's inputs; for P-GPTQ every token of it " +
        "counts alike, attention sinks too. Both tell how the answers have changed, and go on where they were ended. rtn " +
        "rounds to nearest, in seconds: the answers are those of --pack with the same format and group.",
    )
    .argument("<model>", "a folder or .gguf file, or a name of one as for the other commands")
    .argument("<out>", "the folder to write; it must not be there yet")
    .addOption(new Option("--format <format>", "bits of a weight").choices(packFormats).default("w4"))
    .addOption(
      new Option("--group <count>", "weights that share a scale")
        .argParser(guarded(oneOfNumbers(packGroups)))
        .default(128),
    )
    .addOption(
      new Option("--method <method>", "how weights are rounded").choices(packMethods).default(defaultMethod),
    )
    .option(
      "--calibration <file>",
      "a text like those that the model is to read, instead of the one that is here",
    )
    .addOption(
      new Option(
        "--calibration-tokens <count>",
        "most tokens of it, 32768 by default: time grows with them",
      ).argParser(guarded(integer(1))),
    )
    .addOption(threadsOption("threads that compute"))
    .option("--force", "replace a packed folder that is there");
  addOutputOptions(
    command,
    "one JSON object: path, format, group, method, sourceBytes, bytes, comparison, seconds",
  );
  command.action(async (model: string, out: string, options: QuantizeFlags) => {
    applyOutputOptions(terminal, options);
    const { format, group, method, calibration, calibrationTokens, threads, force } = options;
    if (method === "rtn" && (calibration !== undefined || calibrationTokens !== undefined)) {
      throw new UsageError("--calibration and --calibration-tokens go with --method gptq or p-gptq.");
    }
    const start = performance.now();
    const left = timeLeft();
    const done = await interruptible((signal) =>
      quantize(model, out, {
        format,
        group,
        method,
        calibration: calibration === undefined ? undefined : givenFile(calibration).toString(),
        calibrationTokens,
        threads,
        force,
        signal,
        onProgress: (progress) =>
          terminal.status.show(
            method === "rtn"
              ? bytesStatus("packing", progress.done, progress.total)
              : `layer ${Math.min(Math.floor(progress.done) + 1, progress.total)} of ${progress.total}${left(progress)}`,
          ),
      }),
    ).finally(() => terminal.status.clear());
    const ms = performance.now() - start;
    if (options.json) return terminal.json({ ...done, format, group, method, seconds: ms / 1000 });
    const sizes = `${formatBytes(done.bytes)} from ${formatBytes(done.sourceBytes)}`;
    terminal.line(
      `${escaped(done.path)}: ${format} in groups of ${group} by ${method}, ${sizes}, ${formatDuration(ms)}.`,
    );
    if (done.comparison) terminal.line(comparisonText(done.comparison));
  });
}

function comparisonText({ tokens, sourceNll, packedNll, kl, sameBest }: ModelComparison): string {
  return (
    `Perplexity ${perplexity(sourceNll)} before, ${perplexity(packedNll)} after; KL divergence ${kl.toExponential(2)}; ` +
    `the same best token after ${((100 * sameBest) / tokens).toFixed(1)} % of ${tokens}.`
  );
}

/** ", 3 min 20 s left", by how long parts of layers have taken: layers that were found finished do not count. */
function timeLeft(): (progress: QuantizeProgress) => string {
  let start: { readonly at: number; readonly done: number } | undefined;
  return ({ done, total }) => {
    const now = performance.now();
    if (!Number.isInteger(done)) start ??= { at: now, done };
    if (!start || done === start.done) return "";
    return `, ${formatDuration(((now - start.at) / (done - start.done)) * (total - done))} left`;
  };
}
