/**
 * llama.cpp on the CPU as an engine of a comparison, through node-llama-cpp's addon: batches as its own scheduler makes
 * them, without sampling. With flash attention and without, on one loaded model.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { UnsupportedError } from "../errors.ts";
import type { Engine, LlamaCppSpec } from "./engine.ts";
import { repeatState } from "./llama-cpp-state.ts";
import { seededPrompt } from "./seeded-checkpoint.ts";
import { type Workload, workloadName, workloadTokens } from "./workload.ts";

/** The part of node-llama-cpp that is used here; `_ctx` is its addon's context. */
interface Binding {
  getLlama(options: object): Promise<Llama>;
}

interface Llama {
  logLevel: string;
  loadModel(options: object): Promise<Model>;
  dispose(): Promise<void>;
}

interface Model {
  readonly fileInfo: {
    readonly metadata: { readonly tokenizer: { readonly ggml: { readonly tokens: unknown[] } } };
  };
  createContext(options: object): Promise<{ readonly _ctx: Context }>;
}

interface Context {
  initBatch(size: number): void;
  addToBatch(sequence: number, position: number, tokens: Uint32Array, logits: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
  saveSequenceStateToFile(file: string, sequence: number, tokens: Uint32Array): Promise<number>;
  loadSequenceStateFromFile(file: string, sequence: number, mostTokens: number): Promise<Uint32Array>;
}

/** Tokens of a batch: llama-bench's default too. */
const batch = 512;

/** More tokens than this are not read, but made up of those that were read last: keys and values over and over. */
const mostRead = 1024;

/** What holds keys and values there; values as Q8_0 need flash attention. */
const kvCacheTypes = { f32: "F32", f16: "F16", int8: "Q8_0" } as const;

/** What a context holds of the one sequence. */
interface Held {
  readonly context: Context;
  length: number;
}

/** @throws Error where llama.cpp cannot load the file. */
export async function openLlamaCpp(spec: LlamaCppSpec): Promise<Engine> {
  const { entry, model: file, threads, kvType, capacity } = spec;
  const binding: Binding = await import(pathToFileURL(entry).href);
  let backend = "";
  const llama = await binding.getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    maxThreads: threads,
    logLevel: "debug",
    logger: (_level: string, message: string) => {
      const library = /load_backend: loaded CPU backend from (\S+)/.exec(message)?.[1];
      if (library) backend = basename(library);
    },
  });
  const start = performance.now();
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0, ignoreMemorySafetyChecks: true });
  const loadSeconds = (performance.now() - start) / 1000;
  const contexts: Held[] = [];
  for (const flashAttention of [true, false]) {
    const { _ctx: context } = await model.createContext({
      contextSize: capacity + 1, // a full context drops its beginning
      batchSize: batch,
      sequences: 1,
      threads,
      flashAttention,
      experimentalKvCacheKeyType: kvCacheTypes[kvType],
      experimentalKvCacheValueType: kvCacheTypes[flashAttention || kvType !== "int8" ? kvType : "f16"],
      ignoreMemorySafetyChecks: true,
    });
    contexts.push({ context, length: 0 });
  }
  llama.logLevel = "error"; // debug messages cost time in every batch
  const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;

  return {
    about: {
      engine: `llama.cpp (node-llama-cpp ${versionOf(entry)})`,
      backend,
      threads,
      loadSeconds,
      variants: ["flash attention on", "flash attention off"],
    },
    measure: async (workload, variant, round) => {
      const held = contexts[variant] as Held;
      const seconds = await timed(held, workload, (count, salt) =>
        Uint32Array.from(seededPrompt({ vocab_size: vocabulary }, 1000 + round + salt, count)),
      );
      return { seconds, tokensPerSecond: workloadTokens(workload) / seconds };
    },
    close: () => llama.dispose(),
  };
}

/** @param tokens that many, others for other salts */
async function timed(
  held: Held,
  workload: Workload,
  tokens: (count: number, salt: number) => Uint32Array,
): Promise<number> {
  switch (workload.kind) {
    case "prompt": {
      await hold(held, workload.depth, tokens);
      const prompt = tokens(workload.prompt, 0);
      const start = performance.now();
      await feed(held, prompt);
      return (performance.now() - start) / 1000;
    }
    case "generate": {
      await hold(held, Math.max(workload.depth, 1), tokens);
      const made = tokens(workload.generate, 0);
      const start = performance.now();
      for (let i = 0; i < made.length; ++i) await feed(held, made.subarray(i, i + 1));
      return (performance.now() - start) / 1000;
    }
    case "turn":
      throw new UnsupportedError(`${workloadName(workload)} in llama.cpp`, "Leave --turn out.");
  }
}

/** Makes the context hold `depth` tokens; those that it has already stay. */
async function hold(
  held: Held,
  depth: number,
  tokens: (count: number, salt: number) => Uint32Array,
): Promise<void> {
  cut(held, depth);
  if (depth - held.length > mostRead) {
    cut(held, batch); // what is repeated: its state is small
    if (held.length < batch) await feed(held, tokens(batch - held.length, 1 << 20));
    await repeatHeld(held, depth);
  }
  if (held.length < depth) await feed(held, tokens(depth - held.length, 1 << 20));
}

/** Makes the context hold `length` tokens at most. */
function cut(held: Held, length: number): void {
  if (held.length <= length) return;
  if (!held.context.removeTokenCellsFromSequence(0, length, -1)) throw new Error("llama.cpp keeps its cells");
  held.length = length;
}

/** Makes the context hold `depth` tokens by repeating what it holds: its speed does not depend on their values. */
async function repeatHeld(held: Held, depth: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "minicpm-state-"));
  const [short, long] = [join(folder, "short"), join(folder, "long")];
  try {
    await held.context.saveSequenceStateToFile(short, 0, new Uint32Array(held.length));
    repeatState(short, long, depth);
    cut(held, 0);
    held.length = (await held.context.loadSequenceStateFromFile(long, 0, depth)).length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Appends tokens, with the logits of the last. */
async function feed(held: Held, tokens: Uint32Array): Promise<void> {
  for (let first = 0; first < tokens.length; first += batch) {
    const part = tokens.subarray(first, first + batch);
    const isLast = first + part.length === tokens.length;
    held.context.initBatch(part.length);
    held.context.addToBatch(0, held.length, part, Uint32Array.from(isLast ? [part.length - 1] : []));
    await held.context.decodeBatch();
    held.length += part.length;
  }
}

function versionOf(entry: string): string {
  const { version } = JSON.parse(readFileSync(join(entry, "../../package.json"), "utf8"));
  return String(version);
}
