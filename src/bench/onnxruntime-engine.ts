/**
 * ONNX Runtime on the CPU as an engine of a comparison, through onnxruntime-node: linear layers and head only, in int4.
 * Of a large model a few layers are measured and counted as often as it has them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UnsupportedError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import { openCheckpoint } from "../model/load.ts";
import type { Engine, OnnxRuntimeSpec } from "./engine.ts";
import { headModel, layersModel } from "./onnx-linears.ts";
import { seededPrompt } from "./seeded-checkpoint.ts";
import { type Workload, workloadName, workloadTokens } from "./workload.ts";

/** The part of onnxruntime-node that is used here. */
interface Binding {
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
}

interface Session {
  run(feeds: Readonly<Record<string, unknown>>): Promise<unknown>;
  release(): Promise<void>;
}

/** Rows of a piece of a prompt, as llama.cpp and ours take them. */
const mostRows = 512;

/** What a graph's weights may take, bytes: a protobuf message ends at 2 GiB. */
const mostGraphBytes = 2 ** 30;

/** Weights that share a scale. */
const blocks = [32, 128];

interface Graphs {
  readonly layers: Session;
  readonly head: Session;
}

/** @throws Error where ONNX Runtime cannot build the graphs. */
export async function openOnnxRuntime({ entry, model: path, threads }: OnnxRuntimeSpec): Promise<Engine> {
  const imported = (await import(pathToFileURL(entry).href)) as Binding & { readonly default?: Binding };
  const binding = imported.default ?? imported;
  const { config } = openCheckpoint(path);
  const layers = Math.min(config.layers, Math.max(1, Math.floor(mostGraphBytes / layerBytes(config))));
  const options = {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
    extra: { session: { force_spinning_stop: "1" } }, // threads rest between runs
  };
  const start = performance.now();
  const graphs: Graphs[] = [];
  for (const block of blocks) {
    graphs.push({
      layers: await binding.InferenceSession.create(layersModel(config, { block, layers }), options),
      head: await binding.InferenceSession.create(headModel(config, { block }), options),
    });
  }
  const loadSeconds = (performance.now() - start) / 1000;
  const part = layers < config.layers ? `, ${layers} of ${config.layers} layers counted as all` : "";

  return {
    about: {
      engine: `ONNX Runtime (onnxruntime-node ${versionOf(entry)})`,
      backend: `linear layers and head only${part}`,
      threads,
      loadSeconds,
      variants: blocks.map((block) => `int4 in blocks of ${block}`),
    },
    measure: async (workload, variant, round) => {
      const { layers: body, head } = graphs[variant] as Graphs;
      const rows = (count: number) =>
        new binding.Tensor("float32", hiddenRows(config, round, count), [count, config.hiddenSize]);
      const time = async (session: Session, feed: unknown) => {
        const begin = performance.now();
        await session.run({ x: feed });
        return (performance.now() - begin) / 1000;
      };
      const [pieces, heads] = passes(workload);
      const feeds = new Map([...new Set([...pieces, 1])].map((count) => [count, rows(count)]));
      let seconds = 0;
      for (const count of pieces) seconds += (await time(body, feeds.get(count))) * (config.layers / layers);
      for (let i = 0; i < heads; ++i) seconds += await time(head, feeds.get(1));
      return { seconds, tokensPerSecond: workloadTokens(workload) / seconds };
    },
    close: async () => {
      for (const { layers: body, head } of graphs) {
        await body.release();
        await head.release();
      }
    },
  };
}

/** Rows of each pass through the layers, and how often the head runs. */
function passes(workload: Workload): [pieces: number[], heads: number] {
  if (workload.kind === "prompt" && workload.depth === 0) {
    const whole = Array.from({ length: Math.floor(workload.prompt / mostRows) }, () => mostRows);
    const rest = workload.prompt % mostRows;
    return [rest > 0 ? [...whole, rest] : whole, 1];
  }
  if (workload.kind === "generate" && workload.depth === 0) {
    return [Array.from({ length: workload.generate }, () => 1), workload.generate];
  }
  throw new UnsupportedError(
    `${workloadName(workload)} in ONNX Runtime`,
    "It has no attention here: take -d 0.",
  );
}

function layerBytes({ hiddenSize, intermediateSize, heads, kvHeads, headDim }: ModelConfig): number {
  const attention = (2 * heads + 2 * kvHeads) * headDim * hiddenSize;
  return (attention + 3 * hiddenSize * intermediateSize) * (1 / 2 + 4 / Math.min(...blocks));
}

function hiddenRows({ hiddenSize }: ModelConfig, round: number, rows: number): Float32Array {
  const numbers = seededPrompt({ vocab_size: 2 ** 16 }, 1000 + round, rows * hiddenSize);
  return Float32Array.from(numbers, (value) => value / 2 ** 15 - 1);
}

function versionOf(entry: string): string {
  const { version } = JSON.parse(readFileSync(join(entry, "../../package.json"), "utf8"));
  return String(version);
}
