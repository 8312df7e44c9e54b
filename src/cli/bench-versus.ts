/** `minicpm bench --vs`, `--vs-model`: this package beside another engine, or a model beside another one. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import type { BenchLoadOptions } from "../bench/bench-model.ts";
import { peerWeights } from "../bench/peer-file.ts";
import { findLlamaCpp, findOnnxRuntime } from "../bench/peers.ts";
import { runVersus } from "../bench/run-versus.ts";
import type { SeededProgress } from "../bench/seeded-checkpoint.ts";
import { cacheFolder, findShape, knownShapes, sameSize, writeShape } from "../bench/shape.ts";
import type { VersusModel } from "../bench/sides.ts";
import { versusChart, versusMarkdown } from "../bench/versus-report.ts";
import type { Workload } from "../bench/workload.ts";
import { ModelNotFoundError } from "../index.ts";
import { openCheckpoint } from "../model/load.ts";
import { chosenModel } from "./default-model.ts";
import { UsageError } from "./failure.ts";
import { escaped } from "./printable.ts";
import { bytesStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

const engines = ["llama.cpp", "onnxruntime"] as const;
const types = ["f32", "f16", "bf16", "q8_0", "q4_0", "tq2_0"] as const;

export interface VersusFlags {
  readonly vs?: (typeof engines)[number];
  readonly vsType?: (typeof types)[number];
  readonly vsModel?: string;
  readonly svg?: string;
}

export function addVersusOptions(command: Command): void {
  const add = (option: Option) => command.addOption(option.helpGroup("Compare:"));
  add(
    new Option(
      "--vs <engine>",
      "with another engine on the same weights, in turns (onnxruntime: linear layers and head only)",
    ).choices(engines),
  );
  add(
    new Option(
      "--vs-type <type>",
      "what matrices become for the other engine (default: f16, with --pack the one of as many bits; a GGUF model's own file as " +
        "it is)",
    ).choices(types),
  );
  add(
    new Option("--vs-model <name>", "with another model; random weights in its shape where there are none"),
  );
  add(new Option("--svg <file>", "draw the comparison too"));
}

export interface VersusQuestion extends VersusFlags {
  readonly model?: string | undefined;
  readonly shape?: string | undefined;
  readonly keep: boolean;
  readonly load: Omit<BenchLoadOptions, "onProgress">;
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  readonly output: "md" | "json" | "jsonl" | "csv";
}

/** @throws UsageError for flags that do not go together; PeerNotFoundError, and as `runVersus`. */
export async function benchVersus(
  question: VersusQuestion,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const { vs, vsType, vsModel, output, load, workloads, rounds } = question;
  refuseMixed(question);
  const peer = vs && { engine: vs, entry: vs === "llama.cpp" ? findLlamaCpp() : findOnnxRuntime() };
  const prepared = new Prepared(terminal, signal, question.keep);
  try {
    const first =
      vsModel && !question.model && !question.shape ? sameSize.get(vsModel.toLowerCase()) : undefined;
    const model = await prepared.model(question.model, question.shape ?? first);
    const otherModel = vsModel === undefined ? undefined : await prepared.modelOrShape(vsModel);
    if (load.pack === "w2" && vs === "llama.cpp" && !vsType) {
      prepared.notes.push("No ternary type is written for llama.cpp: its weights have 4 bits, ours 2.");
    }
    const report = await runVersus({
      model,
      otherModel,
      peer,
      peerWeights: vsType && peerWeights(vsType.toUpperCase() as Uppercase<typeof vsType>),
      load,
      script: fileURLToPath(new URL("./engine-program.js", import.meta.url)),
      workloads,
      rounds,
      notes: prepared.notes,
      signal,
      onWrite: (what, progress) => prepared.showWriting(what, progress),
      onStep: (what) => terminal.status.show(what),
    });
    terminal.status.clear();
    if (question.svg !== undefined) writeFileSync(question.svg, versusChart(report));
    if (output === "json") terminal.json(report);
    else for (const line of versusMarkdown(report)) terminal.line(escaped(line));
  } finally {
    terminal.status.clear();
    prepared.remove();
  }
}

function refuseMixed({ vs, vsType, load, workloads, output }: VersusQuestion): void {
  if (vsType && vs !== "llama.cpp")
    throw new UsageError("--vs-type says what llama.cpp runs: give --vs llama.cpp.");
  if (vs === "onnxruntime" && workloads.some((each) => "depth" in each && each.depth > 0)) {
    throw new UsageError("--vs onnxruntime compares linear layers and the head only: take -d 0.");
  }
  if (load.device !== "cpu") throw new UsageError("--vs and --vs-model compare on the CPU only.");
  const plain = workloads.every(
    (each) => each.kind === "prompt" || (each.kind === "generate" && each.sequences === 1),
  );
  if (!plain) throw new UsageError("--vs and --vs-model take neither --turn nor --batch.");
  if (output !== "md" && output !== "json") throw new UsageError("--vs and --vs-model print md or json.");
}

/** Models ready to run, and what was written for them. */
export class Prepared {
  readonly notes: string[] = [];
  readonly #cleanups: (() => void)[] = [];

  constructor(
    private readonly terminal: Terminal,
    private readonly signal: AbortSignal,
    private readonly keep: boolean,
  ) {}

  async model(reference: string | undefined, shape: string | undefined): Promise<VersusModel> {
    if (shape !== undefined) return this.#shape(shape);
    const { path, name } = openCheckpoint((await chosenModel(reference, this.terminal)).path);
    const folder = join(cacheFolder(), "shapes");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const scratch = mkdtempSync(join(folder, "writing-"));
    this.#cleanups.push(() => rmSync(scratch, { recursive: true, force: true }));
    return { path, name, scratch };
  }

  /** A model of that name, else a shape. */
  async modelOrShape(reference: string): Promise<VersusModel> {
    try {
      return await this.model(reference, undefined);
    } catch (error) {
      if (!(error instanceof ModelNotFoundError) || !knownShapes.has(reference.toLowerCase())) throw error;
      return this.#shape(reference);
    }
  }

  showWriting(what: string, { done, total }: SeededProgress): void {
    this.terminal.status.show(bytesStatus(`writing ${what}:`, done, total));
  }

  remove(): void {
    for (const cleanup of this.#cleanups) cleanup();
  }

  async #shape(reference: string): Promise<VersusModel> {
    const shape = findShape(reference);
    const folder = await writeShape(shape, {
      keep: this.keep,
      signal: this.signal,
      onProgress: (progress) => this.showWriting(shape.name, progress),
    });
    this.#cleanups.push(() => folder.remove());
    if (folder.kept) this.terminal.notice(`The weights of ${shape.name} stay in ${escaped(folder.path)}.`);
    this.notes.push(`Random weights in the shape of ${shape.name}: speed does not depend on their values.`);
    return { path: folder.path, name: shape.name, scratch: folder.path };
  }
}
