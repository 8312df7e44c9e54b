import type { Model } from "./model.ts";

/** How far loading is. `open`: headers and tokenizer, in steps; `load`: weights, in bytes. */
export interface LoadProgress {
  readonly phase: "open" | "load";
  readonly done: number;
  readonly total: number;
}

export interface LoadOptions {
  /** Where to run. `reference` is the slow definition in plain loops. Default "auto": the fastest. */
  readonly device?: "auto" | "cpu" | "reference" | undefined;
  /** Tokens a conversation can hold. Default "auto": the model's maximum if it fits in half of free memory, else the largest that does. */
  readonly contextLength?: number | "auto" | undefined;
  /** Threads that compute. Default: one a physical core. */
  readonly threads?: number | undefined;
  /** What the linear layers' inputs are rounded to. Default "f32". */
  readonly activations?: "f32" | "int8" | undefined;
  /** How keys and values are held. Default "f16" on cpu, "f32" on reference. */
  readonly kvType?: "f32" | "f16" | "int8" | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export declare function loadModel(model: string, options?: LoadOptions): Promise<Model>;
