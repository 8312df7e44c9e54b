/** A comparison from its models to its rows: prepares files, starts an engine's process for each side, measures, compares. */
import { freemem } from "node:os";
import { OutOfMemoryError } from "../errors.ts";
import { EngineProcess } from "./engine-process.ts";
import { findScheduling, type Scheduling } from "./scheduling.ts";
import { pairsOf, type Side, type SideOptions, sidesOf, type VersusModel } from "./sides.ts";
import { type Contender, compare, inWords, measureInTurns, type Series, versusRow } from "./versus.ts";
import type { VersusReport } from "./versus-report.ts";
import { workloadName } from "./workload.ts";

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

/** A side that has run. */
interface Finished extends Contender {
  readonly side: Side;
  readonly engine: EngineProcess;
  /** By workload, then by variant. */
  readonly series: Series[][];
}

/** Of free memory, what all sides may take. */
const memoryShare = 0.9;

/** An engine that uses more of a core than this while it should rest disturbs the other. */
const mostIdleShare = 0.02;

/**
 * Sides run in turns where they fit into memory together, else one after the other, and the report says so.
 *
 * @throws OutOfMemoryError where one does not fit by itself; AbortError, and what engines throw.
 */
export async function runVersus(options: VersusOptions): Promise<VersusReport> {
  const models = [options.model, ...(options.otherModel ? [options.otherModel] : [])];
  const byModel: Side[][] = [];
  for (const model of models) byModel.push(await sidesOf(model, options));
  const sides = byModel.flat();
  const inTurns = fitTogether(sides);
  const scheduling = findScheduling();
  const finished = await run(inTurns ? [sides] : sides.map((side) => [side]), options, scheduling);

  const seriesOf = (side: Side, workload: number) =>
    finished.find((each) => each.side === side)?.series[workload] ?? [];
  const comparisons = pairsOf(byModel).flatMap(([ours, theirs]) =>
    options.workloads.map((workload, i) =>
      compare(workload, seriesOf(ours, i), seriesOf(theirs, i), inTurns),
    ),
  );
  const { about } = (finished[0] as Finished).engine;
  return {
    cpu: about.processor ?? "",
    threads: about.threads,
    scheduling: scheduling.name,
    scheduling_is: scheduling.description,
    rounds: options.rounds,
    time: new Date().toISOString(),
    engines: finished.map((each) => ({
      is: inWords(each),
      load_seconds: each.engine.about.loadSeconds,
      memory_bytes: each.engine.memoryBytes,
    })),
    notes: [...options.notes, ...(inTurns ? restlessNotes(finished) : [oneByOneNote])],
    rows: comparisons.map(versusRow),
  };
}

const oneByOneNote = "One after the other, not in turns: together they do not fit into memory.";

function restlessNotes(finished: readonly Finished[]): string[] {
  return finished
    .filter(({ engine }) => engine.idleShare > mostIdleShare)
    .map(({ engine: { about, idleShare } }) => {
      return `${about.engine} used ${(100 * idleShare).toFixed(0)} % of a core while others were measured.`;
    });
}

/** @throws OutOfMemoryError */
function fitTogether(sides: readonly Side[]): boolean {
  const free = freemem() * memoryShare;
  for (const { memoryBytes } of sides) {
    if (memoryBytes > free) {
      const remedy = "Take a smaller shape, fewer tokens before, or --vs-type q4_0 for llama.cpp.";
      throw new OutOfMemoryError(memoryBytes, freemem(), remedy);
    }
  }
  return sides.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0) <= free;
}

/** Runs batch after batch; the sides of one run in turns, with as many threads as the very first. */
async function run(
  batches: readonly (readonly Side[])[],
  { load, script, workloads, rounds, signal, onStep }: VersusOptions,
  scheduling: Scheduling,
): Promise<Finished[]> {
  const finished: Finished[] = [];
  for (const batch of batches) {
    const open: Finished[] = [];
    try {
      for (const side of batch) {
        onStep(`loading ${side.model} in ${side.engine}`);
        const threads = (finished[0] ?? open[0])?.engine.about.threads ?? load.threads ?? 0;
        const engine = await EngineProcess.start(side.spec(threads), { scheduling, signal, script });
        open.push({ side, engine, model: side.model, weightBytes: side.weightBytes, series: [] });
      }
      for (const workload of workloads) {
        const onRun = ({ model, engine }: Contender, round: number) =>
          onStep(
            `${workloadName(workload)}: ${round || "warm-up"} of ${rounds}, ${model} in ${engine.about.engine}`,
          );
        const series = await measureInTurns(open, workload, { rounds, signal, onRun });
        for (const [i, each] of open.entries()) each.series.push(series[i] ?? []);
      }
      finished.push(...open);
    } finally {
      for (const { engine } of open) await engine.close();
    }
  }
  return finished;
}
