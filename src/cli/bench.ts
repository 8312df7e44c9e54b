/** `minicpm bench`: how fast a model reads and makes tokens here, and how far that is from what the machine can do. */
import { type Command, Option } from "commander";
import { type BenchModel, loadBenchModel } from "../bench/bench-model.ts";
import { measure } from "../bench/measure.ts";
import { rowOf, spillText } from "../bench/report.ts";
import { findShape, knownShapes, writeShape } from "../bench/shape.ts";
import { type WorkloadLists, workloadName, workloads } from "../bench/workload.ts";
import { isDevice } from "../chat/device.ts";
import type { NativeDevice } from "../native/binding.ts";
import { addCurveOptions, benchCurve, type CurveFlags } from "./bench-curve.ts";
import { type Output, outputs, rowPrinter } from "./bench-rows.ts";
import { addVersusOptions, benchVersus, type VersusFlags } from "./bench-versus.ts";
import {
  addOutputOptions,
  applyOutputOptions,
  guarded,
  kvTypeOption,
  type LoadFlags,
  type OutputOptions,
  packOptions,
  ropeOption,
  sparseOption,
  spillOptions,
  threadsOption,
} from "./command-options.ts";
import { chosenModel, defaultModelHelp, modelHelp } from "./default-model.ts";
import { UsageError } from "./failure.ts";
import { interruptible } from "./interrupt.ts";
import { escaped } from "./printable.ts";
import { integer, SettingError } from "./settings.ts";
import { bytesStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

/** What `bench` has of the flags that load a model. */
type BenchLoadFlags = Omit<LoadFlags, "contextLength" | "device" | "cacheDir">;

interface BenchOptions extends OutputOptions, VersusFlags, CurveFlags, BenchLoadFlags {
  readonly prompt: readonly number[];
  readonly generate: readonly number[];
  readonly depth: readonly number[];
  readonly batch: readonly number[];
  readonly turn?: WorkloadLists["turns"];
  readonly repetitions: number;
  readonly output?: Output;
  readonly shape?: string;
  readonly keep?: boolean;
  readonly ops?: boolean;
  readonly device: NativeDevice;
}

export function addBenchCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("bench")
    .summary("measure prefill and decode speed")
    .description(
      "Measure reading (pp) and making (tg) tokens, as llama-bench does, and what share that is of this machine's " +
        "limit: memory bandwidth or float32 multiply-adds, whichever binds, measured in turns with it. One warm-up " +
        "run of each test does not count.",
    )
    .argument("[model]", `${modelHelp} (without --shape, ${defaultModelHelp})`);
  addMeasureOptions(command);
  addWhereOptions(command);
  addVersusOptions(command);
  addCurveOptions(command);
  addOutputOptions(command, "the same as -o json, errors too");
  command.action(async (reference: string | undefined, options: BenchOptions) => {
    applyOutputOptions(terminal, options);
    refuseUnread(command, options);
    const tests = workloads({
      prompts: options.prompt,
      generations: options.generate,
      depths: options.depth,
      sequences: options.batch,
      turns: options.turn ?? [],
    });
    if (tests.length === 0)
      throw new UsageError("Nothing to measure: -p and -n are 0, and there is no --turn.");
    if (reference !== undefined && options.shape !== undefined) {
      throw new UsageError("Give a model or --shape, not both.");
    }
    const output = options.output ?? (options.json ? "json" : "md");
    await interruptible(async (signal) => {
      if (options.curve !== undefined) {
        const { kvType, keep = false } = options;
        return benchCurve(
          {
            ...options,
            ...curveCounts(command),
            model: reference,
            keep,
            load: { ...loadOf(options), kvType },
            output,
          },
          terminal,
          signal,
        );
      }
      if (options.vs !== undefined || options.vsModel !== undefined) {
        const { repetitions: rounds, keep = false } = options;
        const load = loadOf(options);
        return benchVersus(
          { ...options, model: reference, keep, load, workloads: tests, rounds, output },
          terminal,
          signal,
        );
      }
      const model = await openModel(reference, options, terminal, signal);
      try {
        const printer = rowPrinter(terminal, output);
        for (const test of tests) {
          const { repetitions, ops } = options;
          const onRepetition = (repetition: number) =>
            terminal.status.show(`${workloadName(test)}: ${repetition || "warm-up"} of ${repetitions}`);
          const measurement = await measure(model, test, { repetitions, ops, signal, onRepetition });
          terminal.status.clear();
          const row = rowOf(model, measurement, new Date());
          printer.row(row);
          const spill = spillText(row);
          if (spill !== undefined) terminal.notice(spill);
        }
        printer.end();
      } finally {
        terminal.status.clear();
        await model.native.dispose();
      }
    });
  });
}

function addMeasureOptions(command: Command): void {
  const counts = (least: number) => guarded(list(integer(least, 2 ** 24)));
  const add = (option: Option) => command.addOption(option.helpGroup("What to measure (lists by comma):"));
  add(
    new Option("-p, --prompt <tokens>", "read prompts of so many").argParser(counts(0)).default([512], "512"),
  );
  add(new Option("-n, --generate <tokens>", "make so many").argParser(counts(0)).default([128], "128"));
  add(
    new Option("-d, --depth <tokens>", "made-up tokens that a sequence holds before")
      .argParser(counts(0))
      .default([0], "0"),
  );
  add(
    new Option("-b, --batch <sequences>", "sequences that make tokens in the same steps; t/s is their sum")
      .argParser(guarded(list(integer(1, 512))))
      .default([1], "1"),
  );
  add(
    new Option(
      "--turn <cached,prompt,generate>",
      "a second turn behind so many cached tokens (repeatable)",
    ).argParser((text: string, before: WorkloadLists["turns"] | undefined) => [
      ...(before ?? []),
      guarded(turn)(text),
    ]),
  );
  add(
    new Option("-r, --repetitions <count>", "runs of each that count")
      .argParser(guarded(integer(1, 1000)))
      .default(5),
  );
}

function addWhereOptions(command: Command): void {
  const add = (option: Option) => command.addOption(option);
  add(new Option("-o, --output <format>", "how to print, md by default").choices(outputs));
  const known = [...knownShapes.keys()].join(", ");
  add(new Option("--shape <name>", `random weights in the shape of ${known} or of a config.json`));
  add(
    new Option("--ops", "time and bytes of each kind of op, too: selection, attention, linear layers, ..."),
  );
  add(new Option("--keep", "leave the shape's weights in the cache folder for the next time"));
  add(threadsOption());
  add(
    new Option("--device <name>", "where to run: cpu, cuda:N or reference")
      .argParser(guarded(readBenchDevice))
      .default("cpu"),
  );
  add(kvTypeOption());
  for (const option of spillOptions()) add(option);
  for (const option of packOptions()) add(option);
  add(sparseOption().default("auto"));
  add(ropeOption().default("native"));
}

function readBenchDevice(text: string): NativeDevice {
  if (isDevice(text) && text !== "auto") return text;
  throw new SettingError("should be cpu, cuda:N or reference, N a number");
}

/** Flags that the measurement asked for would not read. @throws UsageError */
function refuseUnread(command: Command, { curve, vs, vsModel, prompt, generate }: BenchOptions): void {
  const given = (...names: (keyof BenchOptions)[]) =>
    command.options
      .filter((option) => names.some((name) => name === option.attributeName()))
      .filter((option) => command.getOptionValueSource(option.attributeName()) === "cli")
      .map(({ long }) => long)
      .join(", ");
  const compares = vs !== undefined || vsModel !== undefined;
  if (curve === undefined) {
    const unread = given("points", "budget", "vsMost");
    if (unread !== "") throw new UsageError(`Only --curve reads ${unread}: add --curve, or leave it out.`);
    if (!compares && given("svg") !== "") {
      throw new UsageError("--svg draws a comparison or a curve: add --vs, --vs-model or --curve.");
    }
    if (compares && given("ops") !== "") throw new UsageError("--vs and --vs-model take no --ops.");
    return;
  }
  const unread = given("depth", "batch", "turn", "ops");
  if (unread !== "") {
    throw new UsageError(
      `--curve does not read ${unread}: its lengths are the depths, as in --curve 1024,8192. Leave it out.`,
    );
  }
  if (prompt.length > 1 || generate.length > 1) throw new UsageError("--curve takes one -p and one -n.");
  if (vs === undefined && given("vsMost", "vsType") !== "") {
    throw new UsageError("--vs-most and --vs-type are about llama.cpp: add --vs llama.cpp.");
  }
}

/** How the model is loaded, alone or in a comparison. */
function loadOf(options: BenchOptions) {
  const { device, threads, kvType: asked, sparse, rope, pack, packGroup, activations } = options;
  const { kvSpill, kvMemoryBytes } = options;
  const kvType = asked ?? (device === "reference" ? "f32" : "f16");
  if (device === "reference" && kvType !== "f32")
    throw new UsageError("--device reference computes in f32 only.");
  const place = { device, threads, kvType, kvSpill, kvMemoryBytes };
  return { ...place, sparse, rope, pack, packGroup, activations };
}

/** Loads the model named, nano, or one of random weights in the shape named. */
async function openModel(
  reference: string | undefined,
  options: BenchOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<BenchModel> {
  const show = (what: string, done: number, total: number) =>
    terminal.status.show(bytesStatus(what, done, total));
  const load = {
    ...loadOf(options),
    onProgress: (done: number, all: number) => show("loading", done, all),
  };
  if (options.shape === undefined) return loadBenchModel((await chosenModel(reference, terminal)).path, load);

  const shape = findShape(options.shape);
  const folder = await writeShape(shape, {
    keep: Boolean(options.keep),
    signal,
    onProgress: ({ done, total }) => show("writing", done, total),
  });
  try {
    if (folder.kept) terminal.notice(`The weights of ${shape.name} stay in ${escaped(folder.path)}.`);
    return await loadBenchModel(folder.path, load, shape.name);
  } finally {
    folder.remove(); // what is mapped stays readable
  }
}

/** A curve has many points: where nothing else is asked for, each takes little. */
function curveCounts(command: Command): { prompt: number; generate: number; rounds: number } {
  const { prompt, generate, repetitions } = command.opts<BenchOptions>();
  const asked = (name: string, value: number | undefined, usual: number) =>
    command.getOptionValueSource(name) === "default" ? usual : (value ?? usual);
  return {
    prompt: asked("prompt", prompt[0], 256),
    generate: asked("generate", generate[0], 16),
    rounds: asked("repetitions", repetitions, 2),
  };
}

function list<T>(parse: (text: string) => T) {
  return (text: string): T[] => text.split(",").map(parse);
}

function turn(text: string): WorkloadLists["turns"][number] {
  const [cached, prompt, generate, ...rest] = list(integer(1, 2 ** 24))(text);
  if (cached === undefined || prompt === undefined || generate === undefined || rest.length > 0) {
    throw new SettingError("must be three counts of tokens, such as 1024,64,32");
  }
  return { cached, prompt, generate };
}
