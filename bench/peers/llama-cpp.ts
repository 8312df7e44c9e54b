/**
 * Logits of llama.cpp on the CPU, through node-llama-cpp. Installed apart from the project:
 *
 *     npm install --prefix bench/peers
 *
 * That brings Linux x64's CPU build and runs no scripts. Elsewhere, name the platform's own package of `@node-llama-cpp`
 * in bench/peers/package.json first.
 */
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The binding's entry; not there until bench/peers is installed. */
export const llamaCppPath = fileURLToPath(
  new URL("./node_modules/node-llama-cpp/dist/index.js", import.meta.url),
);

export function llamaCppAvailable(): boolean {
  return existsSync(llamaCppPath);
}

export interface LlamaCppOptions {
  readonly threads: number;
  /** Type of the cached keys and values. */
  readonly kvType: "f32" | "f16";
  /** llama.cpp's flash attention, which rounds keys and values to f16 whatever their type in the cache. */
  readonly flashAttention: boolean;
}

/** The part of node-llama-cpp's types that is used here. */
interface Binding {
  getLlama(options: object): Promise<Llama>;
}

interface Llama {
  loadModel(options: object): Promise<Model>;
  dispose(): Promise<void>;
}

interface Model {
  createContext(options: object): Promise<Context>;
  tokenize(text: string, specialTokens: boolean): readonly number[];
}

interface Context {
  getSequence(): Sequence;
}

interface Sequence {
  readonly nextTokenIndex: number;
  clearHistory(): Promise<void>;
  controlledEvaluate(
    input: readonly [token: number, options: { generateNext: Wanted }][],
  ): Promise<readonly ({ next: Next } | undefined)[]>;
}

/** What a position is asked for; the one selected is the best. */
interface Wanted {
  readonly logits: true | { filter: { tokens: readonly number[]; includeSelected: true } };
  readonly totalLogitWeight?: true;
}

interface Next {
  readonly logits?: ReadonlyMap<number, number>;
  /** Sum of exp(logit - the largest logit) over the vocabulary. */
  readonly totalLogitWeight?: number;
}

/** Positions evaluated in one call: the binding hands out logits as maps, far larger than the numbers in them. */
const chunk = 32;

/**
 * Runs `tokens` as one text and gives the logits after each of them, `[tokens][vocabulary]`.
 *
 * @param file a GGUF file
 * @throws Error when bench/peers is not installed, or llama.cpp leaves out a token or a logit.
 */
export async function llamaCppLogits(
  file: string,
  tokens: Int32Array,
  options: LlamaCppOptions,
): Promise<Float32Array[]> {
  return withSequence(file, tokens.length, options, async (sequence) => {
    const logits: Float32Array[] = [];
    for await (const { next } of evaluate(sequence, tokens, () => ({ logits: true }))) {
      logits.push(inOrder(next.logits));
    }
    return logits;
  });
}

/**
 * Runs each of `windows` as a text of its own and tells `onScore` the mean negative log-probability of its tokens but the
 * first, in nats.
 *
 * @throws Error as llamaCppLogits
 */
export async function llamaCppScores(
  file: string,
  windows: readonly Int32Array[],
  options: LlamaCppOptions,
  onScore: (nll: number) => void,
): Promise<void> {
  const longest = Math.max(...windows.map(({ length }) => length));
  await withSequence(file, longest, options, async (sequence) => {
    for (const tokens of windows) {
      await sequence.clearHistory();
      const following = (position: number) => tokens[Math.min(position + 1, tokens.length - 1)] as number;
      const outputs = evaluate(sequence, tokens, (position) => ({
        logits: { filter: { tokens: [following(position)], includeSelected: true } },
        totalLogitWeight: true,
      }));
      let total = 0;
      for await (const { position, next } of outputs) {
        if (position + 1 < tokens.length) total -= logProbability(next, following(position));
      }
      onScore(total / (tokens.length - 1));
    }
  });
}

async function* evaluate(sequence: Sequence, tokens: Int32Array, wanted: (position: number) => Wanted) {
  for (let first = 0; first < tokens.length; first += chunk) {
    const part = [...tokens.subarray(first, first + chunk)];
    const outputs = await sequence.controlledEvaluate(
      part.map((token, i) => [token, { generateNext: wanted(first + i) }]),
    );
    for (const i of part.keys()) yield { position: first + i, next: outputs[i]?.next ?? {} };
  }
  if (sequence.nextTokenIndex !== tokens.length) throw new Error("llama.cpp dropped a part of the text");
}

/** Of a token among the logits that were asked for. */
function logProbability({ logits = new Map(), totalLogitWeight = Number.NaN }: Next, token: number): number {
  const value = (logits.get(token) ?? Number.NaN) - Math.max(...logits.values()) - Math.log(totalLogitWeight);
  if (Number.isNaN(value)) throw new Error("llama.cpp left out a logit");
  return value;
}

async function withSequence<T>(
  file: string,
  length: number,
  { threads, kvType, flashAttention }: LlamaCppOptions,
  use: (sequence: Sequence) => Promise<T>,
): Promise<T> {
  return withModel(file, threads, async (model) => {
    const context = await model.createContext({
      contextSize: length + 1, // a full context drops its beginning
      batchSize: chunk,
      sequences: 1,
      threads,
      flashAttention,
      experimentalKvCacheKeyType: kvType.toUpperCase(),
      experimentalKvCacheValueType: kvType.toUpperCase(),
      ignoreMemorySafetyChecks: true,
    });
    return use(context.getSequence());
  });
}

/** Tokens of texts by the vocabulary of a GGUF file; special tokens are those of the text. */
export async function llamaCppTokens(file: string, texts: readonly string[]): Promise<Int32Array[]> {
  return withModel(file, 1, async (model) =>
    texts.map((text) => Int32Array.from(model.tokenize(text, true))),
  );
}

async function withModel<T>(file: string, threads: number, use: (model: Model) => Promise<T>): Promise<T> {
  if (!llamaCppAvailable()) {
    throw new Error("node-llama-cpp is not installed: npm install --prefix bench/peers");
  }
  const binding: Binding = await import(/* @vite-ignore */ pathToFileURL(llamaCppPath).href);
  const llama = await binding.getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    logLevel: "error",
    maxThreads: threads,
  });
  try {
    return await use(
      await llama.loadModel({ modelPath: file, gpuLayers: 0, ignoreMemorySafetyChecks: true }),
    );
  } finally {
    await llama.dispose();
  }
}

/** By token id; the map comes sorted by value. */
function inOrder(values: ReadonlyMap<number, number> = new Map()): Float32Array {
  const logits = new Float32Array(values.size).fill(Number.NaN);
  for (const [token, value] of values) logits[token] = value;
  if (logits.length === 0 || logits.some(Number.isNaN)) throw new Error("llama.cpp left out a logit");
  return logits;
}
