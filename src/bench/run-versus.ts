/** A comparison from its models to its rows: prepares files, starts an engine's process for each side, measures, compares. */
import { freemem } from "node:os";
import { OutOfMemoryError } from "../errors.ts";
import { EngineProcess } from "./engine-process.ts";
import { findScheduling, type Scheduling } from "./scheduling.ts";
import { pairsOf, type Side, type SideOptions, sidesOf, type VersusModel } from "./sides.ts";
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

export interface VersusOptions extends SideOptions {
  readonly model: VersusModel;
  /** Another model, to be put beside the first in each engine. */
  readonly otherModel?: VersusModel | undefined;
  /** What an engine's process runs, see `EngineProcess`. */
  readonly script: string;
  readonly rounds: number;
  /** Said in the report beside its own. */
  readonly notes: readonly string[];
  readonly onStep: (what: string) => void;
}

/** What was measured: series by side, then by workload. */
type Measured = ReadonlyMap<Side, readonly (readonly Series[])[]>;

/** Of free memory, what weights may take. */
const memoryShare = 0.9;

/**
 * Sides run in turns where they fit into memory together, else one after the other, and the report says so.
 *
 * @throws OutOfMemoryError where one does not fit by itself; AbortError, and what engines throw.
 */
export async function runVersus(options: VersusOptions): Promise<VersusReport> {
  const models = [options.model, ...(options.otherModel ? [options.otherModel] : [])];
  const sides: Side[][] = [];
  for (const model of models) sides.push(await sidesOf(model, options));
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
      const series = (entry: Side) => measured.get(entry)?.[i] ?? [];
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

async function together(
  entries: readonly Side[],
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
    const measured = new Map<Side, Series[][]>(entries.map((entry) => [entry, []]));
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
  entries: readonly Side[],
  options: VersusOptions,
  scheduling: Scheduling,
): Promise<Outcome> {
  const processes: EngineProcess[] = [];
  const measured = new Map<Side, Series[][]>();
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
  { model, engine, spec }: Side,
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
