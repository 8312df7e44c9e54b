/** Workloads made ready to run over and over, on sequences of their own. */
import { generate } from "../engine/generate.ts";
import { greedy } from "../engine/sampling.ts";
import { Sequence } from "../engine/sequence.ts";
import { AbortError } from "../errors.ts";
import type { NativeModel, NativeSequence, OpProfile } from "../native/binding.ts";
import { publicError, withPublicErrors } from "../native/error-table.ts";
import type { BenchModel } from "./bench-model.ts";
import { decodeWork, prefillWork, together, type Work } from "./cost.ts";
import { seededPrompt } from "./seeded-checkpoint.ts";
import type { Workload } from "./workload.ts";

export interface Run {
  readonly work: Work;
  /** Back to where a run starts: not part of it. `round` makes its tokens other ones than before. */
  prepare(round: number): Promise<void>;
  /** @returns prompt tokens that were held already instead of computed. */
  run(): Promise<number>;
  dispose(): void;
}

const noTokens = new Int32Array();

/** @throws OutOfMemoryError where its sequences do not fit. */
export function runOf(model: BenchModel, workload: Workload, signal?: AbortSignal): Run {
  switch (workload.kind) {
    case "prompt":
      return promptRun(model, workload, signal);
    case "generate":
      return generateRun(model, workload, signal);
    case "turn":
      return turnRun(model, workload, signal);
  }
}

/** The run, with its ops counted, and what they came to last. */
export function profiled(
  run: Run,
  native: NativeModel,
): { readonly run: Run; readonly profile: () => OpProfile } {
  let profile: OpProfile | undefined;
  const counted = async () => {
    native.startProfile();
    try {
      return await run.run();
    } finally {
      profile = native.stopProfile();
    }
  };
  return { run: { ...run, run: counted }, profile: () => profile as OpProfile };
}

function promptRun(
  model: BenchModel,
  { prompt, depth }: Extract<Workload, { kind: "prompt" }>,
  signal?: AbortSignal,
): Run {
  const [sequence] = createSequences(model, 1, depth + prompt) as [NativeSequence];
  let tokens: Int32Array = noTokens;
  return {
    work: prefillWork(model.cost, { tokens: prompt, depth }),
    prepare: async (round) => {
      tokens = randomTokens(model, round, prompt);
      await holdDepth(sequence, depth, signal);
    },
    run: async () => {
      let found = 0;
      await running([sequence], signal, () =>
        sequence.prefill(tokens, (_done, cached) => {
          found = cached;
        }),
      );
      return found;
    },
    dispose: () => sequence.dispose(),
  };
}

/** A step's token is random at first and the best one from then on; the first one is sampled beforehand. */
function generateRun(
  model: BenchModel,
  { generate: count, depth, sequences: rows }: Extract<Workload, { kind: "generate" }>,
  signal?: AbortSignal,
): Run {
  const held = Math.max(depth, 1);
  const sequences = createSequences(model, rows, held + count);
  return {
    work: decodeWork(model.cost, { steps: count, depth: held, sequences: rows }),
    prepare: async (round) => {
      for (const [row, sequence] of sequences.entries()) {
        await holdDepth(sequence, held - 1, signal);
        const token = randomTokens(model, round * rows + row, 2).subarray(1);
        await running([sequence], signal, () => sequence.prefill(token));
        await sequence.sample(greedy);
      }
    },
    run: async () => {
      const options = { count, stopTokens: noTokens, sampling: greedy };
      await running(sequences, signal, async () => {
        const outcomes = await Promise.all(sequences.map((each) => each.decode(options, () => {})));
        return outcomes.find((outcome) => outcome === "cancelled") ?? "count";
      });
      return 0;
    },
    dispose: () => {
      for (const sequence of sequences) sequence.dispose();
    },
  };
}

/** As a session goes on: by the same `generate`, on the sequence that holds the turn before. */
function turnRun(
  model: BenchModel,
  { cached, prompt, generate: count }: Extract<Workload, { kind: "turn" }>,
  signal?: AbortSignal,
): Run {
  const [native] = createSequences(model, 1, cached + prompt + count) as [NativeSequence];
  const sequence = new Sequence(native);
  const tokens = new Int32Array(cached + prompt);
  tokens.set(randomTokens(model, 0, cached));
  return {
    work: together(
      prefillWork(model.cost, { tokens: prompt, depth: cached }),
      decodeWork(model.cost, { steps: count - 1, depth: cached + prompt, sequences: 1 }),
    ),
    prepare: async (round) => {
      tokens.set(randomTokens(model, round + 1, prompt), cached);
      if (sequence.length > cached) sequence.truncate(cached);
      const rest = tokens.subarray(sequence.length, cached);
      if (rest.length > 0) await sequence.prefill(rest, () => {}, { signal });
    },
    run: async () => {
      let found = 0;
      const options = { maxTokens: count, stopTokens: noTokens, sampling: greedy, signal };
      for await (const event of generate(sequence, tokens, options)) {
        if (event.type === "prefill") found = event.cached;
      }
      return found;
    },
    dispose: () => sequence.dispose(),
  };
}

function createSequences({ native }: BenchModel, count: number, capacity: number): NativeSequence[] {
  const sequences: NativeSequence[] = [];
  try {
    while (sequences.length < count) {
      sequences.push(withPublicErrors(() => native.createSequence({ capacity })));
    }
  } catch (error) {
    for (const sequence of sequences) sequence.dispose();
    throw error;
  }
  return sequences;
}

/** Makes `sequence` hold `depth` made-up positions and nothing else; those that it has already stay. */
async function holdDepth(sequence: NativeSequence, depth: number, signal?: AbortSignal): Promise<void> {
  withPublicErrors(() => sequence.truncate(Math.min(depth, sequence.length)));
  if (sequence.length < depth) await running([sequence], signal, () => sequence.fillForBench(depth));
}

/** Runs native calls on `sequences` that `signal` cancels. @throws AbortError */
async function running(
  sequences: readonly NativeSequence[],
  signal: AbortSignal | undefined,
  // biome-ignore lint/suspicious/noConfusingVoidType: fillForBench's promise says nothing
  call: () => Promise<string | void>,
): Promise<void> {
  const cancel = () => {
    for (const sequence of sequences) sequence.cancel();
  };
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    if (signal?.aborted || (await call()) === "cancelled") {
      throw new AbortError(undefined, { cause: signal?.reason });
    }
  } catch (error) {
    throw publicError(error);
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/** Tokens that no other round has: nothing of them can be in the block store. */
function randomTokens({ checkpoint }: BenchModel, round: number, length: number): Int32Array {
  return seededPrompt({ vocab_size: checkpoint.config.vocabSize }, 1000 + round, length);
}
