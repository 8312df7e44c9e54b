/** An engine with a model loaded, as a comparison sees it: it times one workload when asked, and rests otherwise. */
import type { KvType, MachineLimits, OpProfile } from "../native/binding.ts";
import type { BenchLoadOptions } from "./bench-model.ts";
import type { Bound } from "./cost.ts";
import type { Workload } from "./workload.ts";

/** What a child process needs to know to become an engine. */
export type EngineSpec = MiniCpmSpec | LlamaCppSpec | OnnxRuntimeSpec;

export interface MiniCpmSpec {
  readonly kind: "minicpm";
  /** Folder or file. */
  readonly model: string;
  /** Shown instead of the folder's. */
  readonly name?: string | undefined;
  readonly load: Omit<BenchLoadOptions, "onProgress">;
  /** Counts ops by kind in every run. */
  readonly profile?: boolean | undefined;
}

export interface LlamaCppSpec {
  readonly kind: "llama.cpp";
  /** node-llama-cpp's entry. */
  readonly entry: string;
  /** A GGUF file. */
  readonly model: string;
  readonly threads: number;
  readonly kvType: KvType;
  /** Tokens that the longest workload holds in the end. */
  readonly capacity: number;
}

export interface OnnxRuntimeSpec {
  readonly kind: "onnxruntime";
  /** onnxruntime-node's entry. */
  readonly entry: string;
  /** Folder or file whose shapes are taken; its weights are not. */
  readonly model: string;
  readonly threads: number;
}

export interface EngineAbout {
  /** "minicpm", or "llama.cpp (node-llama-cpp 3.22.1)". */
  readonly engine: string;
  /** What computes: "cpu avx512", or the name of a backend's library. */
  readonly backend: string;
  readonly threads: number;
  readonly processor?: string;
  readonly loadSeconds: number;
  /** Ways to run, of which the better one counts; a single "" where there is but one. */
  readonly variants: readonly string[];
}

/** One run. */
export interface Sample {
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Of the machine's limit; where the engine can tell. */
  readonly share?: number;
  readonly bound?: Bound;
  /** Measured just before; where the engine can. */
  readonly limits?: MachineLimits;
  /** What has to be read at least, bytes; where the engine can tell. */
  readonly leastBytes?: number;
  /** Memory for the workload's tokens as planned, bytes; where the engine can tell. */
  readonly plannedBytes?: number;
  /** Where it was asked for. */
  readonly profile?: OpProfile;
}

export interface Engine {
  readonly about: EngineAbout;
  /**
   * Makes `workload` ready, then times it.
   *
   * @param variant index into `about.variants`
   * @param round makes the tokens other ones than before
   */
  measure(workload: Workload, variant: number, round: number): Promise<Sample>;
  close(): Promise<void>;
}
