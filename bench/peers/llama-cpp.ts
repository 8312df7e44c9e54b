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
  controlledEvaluate(
    input: readonly [token: number, options: { generateNext: { logits: true } }][],
  ): Promise<readonly ({ next: { logits?: ReadonlyMap<number, number> } } | undefined)[]>;
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
  { threads, kvType, flashAttention }: LlamaCppOptions,
): Promise<Float32Array[]> {
  return withModel(file, threads, async (model) => {
    const context = await model.createContext({
      contextSize: tokens.length + 1, // a full context drops its beginning
      batchSize: chunk,
      sequences: 1,
      threads,
      flashAttention,
      experimentalKvCacheKeyType: kvType.toUpperCase(),
      experimentalKvCacheValueType: kvType.toUpperCase(),
      ignoreMemorySafetyChecks: true,
    });
    const sequence = context.getSequence();
    const logits: Float32Array[] = [];
    for (let first = 0; first < tokens.length; first += chunk) {
      const part = [...tokens.subarray(first, first + chunk)];
      const outputs = await sequence.controlledEvaluate(
        part.map((token) => [token, { generateNext: { logits: true } }]),
      );
      for (const i of part.keys()) logits.push(inOrder(outputs[i]?.next.logits));
    }
    if (sequence.nextTokenIndex !== tokens.length) throw new Error("llama.cpp dropped a part of the text");
    return logits;
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
