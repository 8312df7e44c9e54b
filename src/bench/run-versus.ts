/** A comparison from its models to its rows: prepares files, starts an engine's process for each side, measures, compares. */
import { freemem } from "node:os";
import { OutOfMemoryError } from "../errors.ts";
import { openCheckpoint } from "../model/load.ts";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { titleOf } from "./bench-model.ts";
import { modelCost } from "./cost.ts";
import type { EngineSpec, MiniCpmSpec } from "./engine.ts";
import { EngineProcess } from "./engine-process.ts";
import { type PeerWeights, peerFile } from "./peer-file.ts";
import { findScheduling, type Scheduling } from "./scheduling.ts";
import type { SeededProgress } from "./seeded-checkpoint.ts";
import {
  type Comparison,
  type Contender,
  compare,
  measureInTurns,
  type Series,
  versusRow,
} from "./versus.ts";
import type { VersusReport } from "./versus-report.ts";
import { type Workload, workloadName } from "./workload.ts";

export interface VersusModel {
  /** Folder or file. */
  readonly path: string;
  readonly name: string;
  /** Where files made from it may be written. */
  readonly scratch: string;
}

export interface VersusOptions {
  readonly model: VersusModel;
  /** Another model, to be put beside the first in each engine. */
  readonly otherModel?: VersusModel | undefined;
  /** node-llama-cpp's entry, to be put beside ours with each model. */
  readonly llamaCpp?: string | undefined;
  /** What llama.cpp runs; absent: a GGUF model's own file. */
  readonly peerWeights?: PeerWeights | undefined;
  readonly load: MiniCpmSpec["load"];
  /** What an engine's process runs, see `EngineProcess`. */
  readonly script: string;
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  /** Said in the report beside its own. */
  readonly notes: readonly string[];
  readonly signal?: AbortSignal | undefined;
  readonly onWrite: (what: string, progress: SeededProgress) => void;
  readonly onStep: (what: string) => void;
}

/** A side of comparisons before it runs. */
interface Entry {
  readonly model: string;
  readonly engine: "minicpm" | "llama.cpp";
  readonly weightBytes: number;
  /** @param threads of the side that ran first */
  readonly spec: (threads: number) => EngineSpec;
}

/** What was measured: series by entry, then by workload. */
type Measured = ReadonlyMap<Entry, readonly (readonly Series[])[]>;

/** Of free memory, what weights may take. */
const memoryShare = 0.9;

/**
 * Sides run in turns where they fit into memory together, else one after the other, and the report says so.
 *
 * @throws OutOfMemoryError where one does not fit by itself; AbortError, and what engines throw.
 */
export async function runVersus(options: VersusOptions): Promise<VersusReport> {
  const models = [options.model, ...(options.otherModel ? [options.otherModel] : [])];
  const sides: Entry[][] = [];
  for (const model of models) sides.push(await entriesOf(model, options));
  const entries = sides.flat();
  const free = freemem() * memoryShare;
  for (const { weightBytes } of entries) {
    if (weightBytes > free) {
      throw new OutOfMemoryError(
        weightBytes,
        freemem(),
        "Take a smaller shape, or --vs-type q4_0 for llama.cpp.",
      );
    }
  }
  const inTurns = entries.reduce((sum, { weightBytes }) => sum + weightBytes, 0) <= free;
  const scheduling = findScheduling();
  const { measured, first, notes } = inTurns
    ? await together(entries, options, scheduling)
    : await oneByOne(entries, options, scheduling);

  const comparisons = pairsOf(sides).flatMap(([ours, theirs]) =>
    options.workloads.map((workload, i): Comparison => {
      const series = (entry: Entry) => measured.get(entry)?.[i] ?? [];
      return compare(workload, series(ours), series(theirs), inTurns);
    }),
  );
  return {
    cpu: first.processor ?? "",
    threads: first.threads,
    scheduling: scheduling.name,
    scheduling_is: scheduling.description,
    rounds: options.rounds,
    time: new Date().toISOString(),
    notes: [
      ...options.notes,
      ...(inTurns ? [] : ["One after the other, not in turns: together the weights do not fit into memory."]),
      ...notes,
    ],
    rows: comparisons.map(versusRow),
  };
}

/** Ours with this model, and llama.cpp where it is asked for. */
async function entriesOf(model: VersusModel, options: VersusOptions): Promise<Entry[]> {
  const { llamaCpp, load, workloads, signal } = options;
  const checkpoint = openCheckpoint(model.path);
  const own: Entry = {
    model: titleOf(model.name, Object.values(checkpoint.plan.weights)),
    engine: "minicpm",
    weightBytes: ownBytes(checkpoint, load),
    spec: (threads) => ({
      kind: "minicpm",
      model: model.path,
      name: model.name,
      load: { ...load, threads },
    }),
  };
  if (llamaCpp === undefined) return [own];
  const file = await peerFile(checkpoint, {
    name: model.name,
    weights:
      options.peerWeights ?? (checkpoint.format === "gguf" ? undefined : { matrices: "F16", head: "F16" }),
    folder: model.scratch,
    signal,
    onProgress: (progress) => options.onWrite(`${model.name} for llama.cpp`, progress),
  });
  const capacity = Math.max(...workloads.map(tokensHeld));
  const peer: Entry = {
    model: file.title,
    engine: "llama.cpp",
    weightBytes: file.weightBytes,
    spec: (threads) => ({
      kind: "llama.cpp",
      entry: llamaCpp,
      model: file.path,
      threads,
      kvType: load.kvType,
      capacity,
    }),
  };
  return [own, peer];
}

function ownBytes({ plan }: OpenedCheckpoint, { kvType }: MiniCpmSpec["load"]): number {
  const { linearBytes, headBytes } = modelCost(plan, kvType);
  return linearBytes + headBytes;
}

/** Each model's engines against each other, then the models against each other in each engine. */
function pairsOf(sides: readonly (readonly Entry[])[]): [Entry, Entry][] {
  const engines = sides.flatMap(([own, peer]): [Entry, Entry][] => (own && peer ? [[own, peer]] : []));
  const [first, second] = sides;
  const models = (first ?? []).flatMap((entry): [Entry, Entry][] => {
    const other = second?.find(({ engine }) => engine === entry.engine);
    return other ? [[entry, other]] : [];
  });
  return [...engines, ...models];
}

async function together(
  entries: readonly Entry[],
  options: VersusOptions,
  scheduling: Scheduling,
): Promise<Outcome> {
  const processes: EngineProcess[] = [];
  try {
    const contenders: Contender[] = [];
    for (const entry of entries) {
      const threads = processes[0]?.about.threads ?? options.load.threads ?? 0;
      const engine = await started(entry, threads, options, scheduling);
      processes.push(engine);
      contenders.push({ model: entry.model, engine, weightBytes: entry.weightBytes });
    }
    const measured = new Map<Entry, Series[][]>(entries.map((entry) => [entry, []]));
    for (const workload of options.workloads) {
      const series = await measuredOf(contenders, workload, options);
      for (const [i, entry] of entries.entries()) measured.get(entry)?.push(series[i] ?? []);
    }
    return outcome(measured, processes);
  } finally {
    for (const process of processes) await process.close();
  }
}

async function oneByOne(
  entries: readonly Entry[],
  options: VersusOptions,
  scheduling: Scheduling,
): Promise<Outcome> {
  const processes: EngineProcess[] = [];
  const measured = new Map<Entry, Series[][]>();
  for (const entry of entries) {
    const threads = processes[0]?.about.threads ?? options.load.threads ?? 0;
    const engine = await started(entry, threads, options, scheduling);
    try {
      processes.push(engine);
      const contender = { model: entry.model, engine, weightBytes: entry.weightBytes };
      const all: Series[][] = [];
      for (const workload of options.workloads) {
        const [series = []] = await measuredOf([contender], workload, options);
        all.push(series);
      }
      measured.set(entry, all);
    } finally {
      await engine.close();
    }
  }
  return outcome(measured, []);
}

interface Outcome {
  readonly measured: Measured;
  /** About the engine that ran first. */
  readonly first: EngineProcess["about"];
  readonly notes: readonly string[];
}

/** An engine that uses more of a core than this while it should rest disturbs the other. */
const mostIdleShare = 0.02;

function outcome(measured: Measured, inTurns: readonly EngineProcess[]): Outcome {
  const first = [...measured.values()][0]?.[0]?.[0]?.contender.engine.about;
  if (!first) throw new RangeError("nothing was measured");
  const restless = inTurns.filter(({ idleShare }) => idleShare > mostIdleShare);
  const notes = restless.map(
    ({ about, idleShare }) =>
      `${about.engine} used ${(100 * idleShare).toFixed(0)} % of a core while others were measured.`,
  );
  return { measured, first, notes };
}

function started(
  { model, engine, spec }: Entry,
  threads: number,
  { script, signal, onStep }: VersusOptions,
  scheduling: Scheduling,
): Promise<EngineProcess> {
  onStep(`loading ${model} in ${engine}`);
  return EngineProcess.start(spec(threads), { scheduling, signal, script });
}

function measuredOf(
  contenders: readonly Contender[],
  workload: Workload,
  { rounds, signal, onStep }: VersusOptions,
): Promise<Series[][]> {
  return measureInTurns(contenders, workload, {
    rounds,
    signal,
    onRun: ({ model, engine }, round) =>
      onStep(
        `${workloadName(workload)}: ${round || "warm-up"} of ${rounds}, ${model} in ${engine.about.engine}`,
      ),
  });
}

/** Tokens in the sequence at the end. */
function tokensHeld(workload: Workload): number {
  switch (workload.kind) {
    case "prompt":
      return workload.depth + workload.prompt;
    case "generate":
      return Math.max(workload.depth, 1) + workload.generate;
    case "turn":
      return workload.cached + workload.prompt + workload.generate;
  }
}
