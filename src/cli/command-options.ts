/** Flags that several commands share, and what they come to. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Device, isDevice } from "../chat/device.ts";
import type { GenerateOptions, LoadOptions } from "../index.ts";
import { kvTypes } from "../model/config.ts";
import { packFormats, packGroups } from "../model/packed-model.ts";
import { ropeModes } from "../model/rope-extension.ts";
import { sparseModes } from "../model/sparse-rule.ts";
import { type Field, integer, kebabCase, type Setting, SettingError, settings } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

/** What every command gets. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Parsed flags of a command that answers. */
export interface AnswerOptions extends OutputOptions, LoadFlags, Pick<GenerateOptions, Field> {}

export interface LoadFlags {
  readonly contextLength?: number | "auto";
  readonly threads?: number;
  readonly device?: NonNullable<LoadOptions["device"]>;
  readonly kvType?: NonNullable<LoadOptions["kvType"]>;
  readonly pack?: NonNullable<LoadOptions["pack"]>;
  readonly packGroup?: NonNullable<LoadOptions["packGroup"]>;
  readonly activations?: NonNullable<LoadOptions["activations"]>;
  readonly sparse?: NonNullable<LoadOptions["sparse"]>;
  readonly rope?: NonNullable<LoadOptions["rope"]>;
  readonly kvSpill?: string;
  readonly kvMemoryBytes?: number;
  /** No flag of its own: commands that keep what they read set it. */
  readonly cacheDir?: string | undefined;
}

export function addOutputOptions(command: Command, json: string): Command {
  return command
    .option("--json", json)
    .option("-q, --quiet", "no notices on stderr")
    .option("-v, --verbose", "statistics, and stacks of errors");
}

export function addLoadOptions(command: Command): Command {
  const group = "Loading:";
  const add = (option: Option) => command.addOption(option.helpGroup(group));
  add(
    new Option(
      "-c, --context-length <tokens>",
      'tokens a conversation can hold, or "auto": the most that fits',
    ).argParser(guarded((text) => (text === "auto" ? text : integer(1)(text)))),
  );
  add(threadsOption());
  add(
    new Option("--device <name>", "where to run: auto, cpu, cuda:N or reference").argParser(
      guarded(readDevice),
    ),
  );
  add(kvTypeOption());
  for (const option of spillOptions()) add(option);
  for (const option of packOptions()) add(option);
  add(sparseOption());
  add(ropeOption());
  return command;
}

function readDevice(text: string): Device {
  if (isDevice(text)) return text;
  throw new SettingError("should be auto, cpu, cuda:N or reference, N a number");
}

export function threadsOption(help = "threads that compute"): Option {
  return new Option("-t, --threads <count>", help).argParser(guarded(integer(1, 1024)));
}

export function kvTypeOption(): Option {
  return new Option("--kv-type <type>", "how keys and values are held").choices(kvTypes);
}

/** The flags of keys and values beyond memory. */
export function spillOptions(): Option[] {
  return [
    new Option(
      "--kv-spill <folder>",
      "where keys and values go that memory does not hold (sparse attention)",
    ),
    new Option(
      "--kv-memory-bytes <count>",
      "bytes of them in memory with --kv-spill: a quarter of free memory by default",
    ).argParser(guarded(integer(1))),
  ];
}

export function sparseOption(): Option {
  const help = "sparse attention: as trained, also where not trained, never";
  return new Option("--sparse <mode>", help).choices(sparseModes);
}

export function ropeOption(): Option {
  const help = "rotary positions: as the files say, or MiniCPM4-8B's and 4.1-8B's extension to 128K tokens";
  return new Option("--rope <mode>", help).choices(ropeModes);
}

/** The flags of packed weights. */
export function packOptions(): Option[] {
  return [
    new Option("--pack <format>", "round weights to 8, 4 or 2 bits at load").choices(packFormats),
    new Option("--pack-group <count>", "weights that share a scale when packed, 128 by default").argParser(
      guarded(oneOfNumbers(packGroups)),
    ),
    new Option(
      "--activations <type>",
      "what inputs of linear layers are rounded to: int8 by default with packed or quantized weights, else f32",
    ).choices(["f32", "int8"]),
  ];
}

/** One of a few numbers, for `guarded`. */
export function oneOfNumbers<T extends number>(choices: readonly T[]) {
  return (text: string): T => {
    const found = choices.find((choice) => String(choice) === text);
    if (found === undefined) throw new SettingError(`has to be ${choices.join(" or ")}`);
    return found;
  };
}

/** The fields of GenerateOptions as flags. */
export function addGenerateOptions(command: Command): Command {
  const group = "Answers:";
  for (const setting of settings) {
    const flag = `--${kebabCase(setting.field)}`;
    if (setting.value === undefined) {
      command.addOption(new Option(flag, setting.help).helpGroup(group));
      if (setting.field === "thinking") {
        command.addOption(new Option("--no-thinking", "answer at once").helpGroup(group));
      }
    } else {
      const option = new Option(`${flag} <${setting.value}>`, setting.help).helpGroup(group);
      command.addOption(option.argParser(guardedSetting(setting)));
    }
  }
  return command;
}

export function loadOptions(options: LoadFlags): LoadOptions {
  const { contextLength, threads, device, kvType, sparse, rope, cacheDir } = options;
  const { pack, packGroup, activations, kvSpill, kvMemoryBytes } = options;
  const place = { threads, device, kvType, kvSpill, kvMemoryBytes, cacheDir };
  return { contextLength, ...place, pack, packGroup, activations, sparse, rope };
}

export function generateOptions(options: Pick<GenerateOptions, Field>): GenerateOptions {
  return Object.fromEntries(
    settings.map(({ field }) => [field, options[field]]).filter(([, value]) => value !== undefined),
  );
}

export function applyOutputOptions(terminal: Terminal, { quiet, json }: OutputOptions): void {
  terminal.quiet = Boolean(quiet);
  terminal.jsonLines = Boolean(json);
}

/** `parse` for commander: what is wrong with the text is told as bad usage. */
export function guarded<T>(parse: (text: string) => T) {
  return (text: string): T => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof SettingError) throw new InvalidArgumentError(`It ${error.message}.`);
      throw error;
    }
  };
}

function guardedSetting({ parse, collect }: Setting) {
  const read = guarded(parse);
  return (text: string, before: unknown): unknown =>
    collect && before !== undefined ? collect(read(text), before) : read(text);
}
