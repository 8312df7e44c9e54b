import { MiniCpmError } from "../../src/errors.ts";
import { randomNumbers } from "../random-numbers.ts";
import { type Block, Coverage } from "./coverage.ts";
import { mutate } from "./mutate.ts";

/** A parser and bytes that it likes. */
export interface Target {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  /** Gives anything or throws a MiniCpmError; whatever else it throws is a finding. */
  parse(bytes: Uint8Array): unknown;
}

export interface Finding {
  readonly input: Buffer;
  readonly what: string;
}

export interface FuzzReport {
  readonly runs: number;
  /** Inputs kept because they reached something new. */
  readonly corpus: number;
  readonly blocks: number;
  readonly finding?: Finding;
}

export interface FuzzOptions {
  /** Ends after this long. Default: no limit. */
  readonly seconds?: number;
  /** Ends after about this many inputs. Default: no limit. */
  readonly runs?: number;
  readonly seed?: number;
  /** Whether coverage of a script counts, by its URL. */
  readonly counts: (url: string) => boolean;
}

/** No input of at most 64 KiB may take longer, in milliseconds, or more memory, in bytes. */
const longestRun = 2000;
const mostMemory = 256 << 20;

/** Inputs between two looks at what they reached: looking costs as much as hundreds of them. */
const batchSize = 256;

/**
 * Feeds mutated inputs to a parser until the time is up or one of them is a finding. Inputs that reach code none
 * reached before are kept and mutated further.
 */
export function fuzz(
  target: Target,
  { seconds = Infinity, runs: mostRuns = Infinity, seed = 1, counts }: FuzzOptions,
): FuzzReport {
  const coverage = new Coverage(counts);
  const reached = new Set<Block>();
  const random = randomNumbers(seed);
  const corpus: Buffer[] = [];
  let finding: Finding | undefined;
  let runs = 0;

  const tryOut = (input: Buffer) => {
    if (finding) return;
    runs++;
    const what = wrongWith(target, input);
    if (what !== undefined) finding = { input, what };
  };
  /** Runs inputs and keeps those that reach something new, found by halving. */
  const sift = (inputs: readonly Buffer[]) => {
    const fresh = coverage.of(() => inputs.forEach(tryOut)).filter((block) => !reached.has(block));
    const [first] = inputs;
    if (fresh.length === 0 || !first) return;
    if (inputs.length === 1) {
      for (const block of fresh) reached.add(block);
      corpus.push(first);
      return;
    }
    const half = inputs.length >> 1;
    sift(inputs.slice(0, half));
    sift(inputs.slice(half));
  };
  // Later ones reached further: they are chosen more often.
  const chosen = () => corpus[Math.floor(Math.sqrt(random()) * corpus.length)] ?? Buffer.alloc(0);

  for (const bytes of target.seeds) sift([Buffer.from(bytes)]);
  const end = performance.now() + seconds * 1000;
  while (!finding && runs < mostRuns && performance.now() < end) {
    sift(Array.from({ length: batchSize }, () => mutate(chosen(), corpus, random)));
  }
  coverage.close();
  const report = { runs, corpus: corpus.length, blocks: reached.size };
  return finding ? { ...report, finding } : report;
}

/** What is wrong with how the target takes `input`, if anything. */
export function wrongWith(target: Target, input: Uint8Array): string | undefined {
  const start = performance.now();
  try {
    target.parse(input);
  } catch (error) {
    if (!(error instanceof MiniCpmError))
      return error instanceof Error ? (error.stack ?? error.message) : `${error}`;
  }
  const milliseconds = performance.now() - start;
  if (milliseconds > longestRun) return `took ${milliseconds.toFixed(0)} ms`;
  // Memory is asked of the system, which takes longer than most runs: only those that had time to take much.
  const bytes = milliseconds > 10 ? memoryOf(target, input) : 0;
  return bytes > mostMemory ? `took ${(bytes / 2 ** 20).toFixed(0)} MiB` : undefined;
}

/** Bytes that the process grows by while the target takes `input` once more. */
function memoryOf(target: Target, input: Uint8Array): number {
  const before = process.memoryUsage.rss();
  try {
    target.parse(input);
  } catch {
    // seen before
  }
  return process.memoryUsage.rss() - before;
}
