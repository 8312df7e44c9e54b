/**
 * The native boundary: finds the addon and types everything that crosses it. Tokens cross, tensors do not
 * (logits and hidden states as copies, on request).
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { AddonNotFoundError } from "../errors.ts";
import type { ModelPlan, NativeDevice, Packing, WeightPlan } from "./plan.ts";

export type * from "./plan.ts";

/** What a model's directory has come to. */
export interface CacheStatus {
  /** Where this model's blocks lie. */
  readonly folder: string;
  /** Files written and read since load; files that were cut or changed, which were removed. */
  readonly written: number;
  readonly read: number;
  readonly wrong: number;
  /** Why nothing more is written, as a sentence; "" while all is well. */
  readonly problem: string;
}

/** What keys and values beyond memory have cost since load. A head: those of one block, layer and KV head. */
export interface SpillStatus {
  /** The folder of the file. */
  readonly folder: string;
  /** Bytes of heads that can be in memory. */
  readonly capacityBytes: number;
  readonly fileBytes: number;
  /** Heads that were asked for and in memory; that were read. */
  readonly hits: number;
  readonly misses: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Time that the model waited for reads. */
  readonly readSeconds: number;
  /** Why no more can be written; "" while all is well. */
  readonly problem: string;
}

/** Bytes a model takes. `total` is the sum of the others. */
export interface MemoryPlan {
  /** Files mapped and used as they are. */
  readonly mapped: number;
  /** Weights converted at load (norms, packed ones). */
  readonly weights: number;
  /** KV blocks of `sequences` sequences of `capacity` tokens; with a spill, what of them is in memory. */
  readonly kv: number;
  /** Activations, logits and tables of the forward pass. */
  readonly activations: number;
  readonly total: number;
}

export interface DeviceInfo {
  readonly name: NativeDevice;
  /** The processor's or the card's own name. */
  readonly description: string;
  /** Instruction sets this machine can run, best first; of a card its one. */
  readonly isas: readonly string[];
  /** Physical cores; 0 of a card. */
  readonly cores: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Of a card, by its clocks and widths. */
  readonly limits?: MachineLimits;
}

/** Sampling by contract: see kernels/sample.h for the order of the processors and what each number means. */
export interface NativeSampling {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly seed: bigint;
  readonly biasTokens: Int32Array;
  readonly biases: Float32Array;
  /** How many of the best tokens to report with each token, 0 to 20; -1 reports no log-probabilities at all. */
  readonly logprobs: number;
}

/** Tokens as they are made, about one event every 10 ms. */
export interface TokenEvent {
  readonly tokens: Int32Array;
  /** One natural log-probability a token; absent unless asked for. */
  readonly logprobs?: Float32Array;
  /** `logprobs` best tokens for each token, best first: `topTokens[i * n + j]`. */
  readonly topTokens?: Int32Array;
  readonly topLogprobs?: Float32Array;
}

export interface DecodeOptions {
  /** Most tokens to make. */
  readonly count: number;
  readonly stopTokens: Int32Array;
  readonly sampling: NativeSampling;
}

/** `stop`: the last token is one of `stopTokens`. `count`: as many as asked. `cancelled`: `cancel()` was called. */
export type StopReason = "stop" | "count" | "cancelled";

/** Tokens of one conversation and their KV blocks. One call at a time runs; others queue in order. */
export interface NativeSequence {
  /** Tokens whose keys and values are held. */
  readonly length: number;
  readonly capacity: number;
  /** The ids behind `length`, a copy. */
  tokens(): Int32Array;
  /**
   * Appends tokens; logits of the last are ready afterwards. What any sequence of the model has held of this prefix is
   * shared instead of computed. `onProgress(done, cached)` counts tokens of this call, `cached` those shared. A pending
   * token is forgotten first. Resolves "cancelled" with the finished part kept. `folder` is one that `save` has filled:
   * blocks are read from there too.
   */
  prefill(
    tokens: Int32Array,
    onProgress?: (done: number, cached: number) => void,
    folder?: string,
  ): Promise<"done" | "cancelled">;
  /**
   * Makes tokens: steps the pending token if there is one, samples, and so on. The last token sampled stays pending
   * (not in `length`) until the next decode or step; `onTokens` has delivered every token when the promise resolves.
   */
  decode(options: DecodeOptions, onTokens: (event: TokenEvent) => void): Promise<StopReason>;
  /** Runs the pending token; its logits are ready afterwards. */
  step(): Promise<"done" | "cancelled">;
  /** Chooses the next token from the present logits and leaves it pending. Bit t of mask[t / 32] allows token t. */
  sample(sampling: NativeSampling, mask?: Uint32Array): Promise<TokenEvent>;
  /** Appends tokens and returns the log-probability of each under the tokens before it (the first: NaN if nothing was before). */
  score(tokens: Int32Array): Promise<Float32Array>;
  /** Appends tokens and returns the mean of their final-norm outputs, `[hiddenSize]`. */
  meanHidden(tokens: Int32Array): Promise<Float32Array>;
  /** Forgets everything from `length` on, the pending token and the logits too. */
  truncate(length: number): void;
  /**
   * Another sequence with the same tokens, pending token and logits: full blocks are shared, so that it costs one block.
   * @throws OutOfMemoryError when what it may still grow does not fit.
   */
  fork(): NativeSequence;
  /** Logits of the last token, before any processor; a copy of `[vocabSize]`. */
  logits(): Float32Array;
  /** Final-norm output of the last token; a copy of `[hiddenSize]`. */
  hidden(): Float32Array;
  /**
   * Has `folder`, which exists, hold the files of all full blocks; those that `previous` has are linked, not copied.
   * @throws StorageError when a file cannot be written.
   */
  save(folder: string, previous?: string): Promise<"done" | "cancelled">;
  /** Benchmarks only: claims `length` tokens with made-up keys and values. */
  fillForBench(length: number): Promise<void>;
  /** Stops the running and queued calls of this sequence within two layers; they resolve as "cancelled". */
  cancel(): void;
  /** Frees the blocks once a running call has stopped. Calls after it throw. */
  dispose(): void;
}

/** What runs between embedding and head, in their order (kernels/). */
export type OpKind =
  | "embed"
  | "rms_norm"
  | "linear"
  | "quantize_rows"
  | "rope"
  | "kv_append"
  | "pool_keys"
  | "score_blocks"
  | "select_blocks"
  | "attention"
  | "silu_mul";

export type OpProfile = Readonly<Record<OpKind, OpCount>>;

export interface OpCount {
  readonly calls: number;
  /** From its start to its end, on all threads together. */
  readonly seconds: number;
  /** Weights, keys, values and pooled keys that it read. */
  readonly bytes: number;
}

export interface NativeModel {
  readonly device: NativeDevice;
  readonly isa: string;
  readonly threads: number;
  /** @throws OutOfMemoryError when `capacity` tokens of KV blocks do not fit the machine. */
  createSequence(options: { capacity: number }): NativeSequence;
  memoryPlan(options: { capacity: number; sequences: number }): MemoryPlan;
  /** Ops started since load, for tests that count what runs after a cancel. */
  readonly opsStarted: number;
  /** The plan's, with what else changes keys and values: instruction set, block format. */
  readonly fingerprint: string;
  /** Benchmarks only: counts the time and bytes of ops from 0 on. */
  startProfile(): void;
  /** Counts no longer; what it has come to, by kind of op. */
  stopProfile(): OpProfile;
  /** Undefined without a directory. */
  cacheStatus(): CacheStatus | undefined;
  /** Undefined without a spill. */
  spillStatus(): SpillStatus | undefined;
  /** Frees the model when its last call has ended; its sequences are disposed. */
  dispose(): Promise<void>;
}

/** Where linears of a layer take their input from: q, k and v; o; gate and up; down. */
export type CalibrationSite = "attention" | "attentionOut" | "mlp" | "mlpOut";

export interface CalibrationOptions {
  /** Tokens of a window, 32 to 512; each is a text of its own. */
  readonly window: number;
  /** For `gather` every token counts alike, however large its inputs are. */
  readonly evenOut: boolean;
  /** Last windows, which `gather` leaves out and `compare` is about. */
  readonly heldOut: number;
  /** Part of the mean of a gram matrix's diagonal that is added to it. */
  readonly damping: number;
}

/** Two models on the held-out windows; means over tokens, in nats. */
export interface ModelComparison {
  readonly tokens: number;
  readonly sourceNll: number;
  readonly packedNll: number;
  /** KL(source || packed). */
  readonly kl: number;
  /** Tokens after which both have the same best one. */
  readonly sameBest: number;
}

/**
 * Windows of a text between the layers of a model, which is loaded one layer at a time: plans are of one layer, as
 * `layers.0`, with `embed` and `norm` beside it. One call at a time.
 */
export interface NativeCalibration {
  /** Learns what the inputs of a site of the layer behind the windows are like (kernels/gram.h, feedback.h). */
  gather(layer: ModelPlan, site: CalibrationSite): Promise<void>;
  /** A matrix of the site gathered last, rounded with feedback (kernels/pack_feedback.h): all its packed bytes. */
  pack(
    file: { readonly path: string; readonly bytes: number },
    weight: WeightPlan,
    packing: Packing,
  ): Promise<Uint8Array>;
  /** Takes the windows through a layer: all through `packed`, the held-out ones apart from that through `source`. */
  advance(packed: ModelPlan, source: ModelPlan): Promise<void>;
  /** Behind the last layer; the plans have the heads. */
  compare(packed: ModelPlan, source: ModelPlan): Promise<ModelComparison>;
  /** Ends the running call soon, with a StateError. */
  cancel(): void;
}

export interface ProbeOptions {
  /** Threads that read and compute together. */
  readonly threads: number;
  /** Instruction set of the multiply-adds, or "" for the best. */
  readonly isa: string;
  /** Bytes that a pass reads: more than the caches hold gives the bandwidth of memory. */
  readonly bytes: number;
  /** Seconds for each of the three, 0 to 60; three passes at least. */
  readonly seconds: number;
}

/** What a machine can do at most. */
export interface MachineLimits {
  readonly bytesPerSecond: number;
  /** float32 multiplications and additions, fused where the instruction set can. */
  readonly flopsPerSecond: number;
  /** Multiplications and additions of int8, by the instruction set's fastest sequence. */
  readonly int8OpsPerSecond: number;
}

export interface NativeAddon {
  devices(): DeviceInfo[];
  /** What `loadModel(plan)` and its sequences would take, without reading any weight. */
  memoryPlan(plan: ModelPlan, options: { capacity: number; sequences: number }): MemoryPlan;
  /** `onProgress(done, total)` counts bytes of weights. */
  loadModel(plan: ModelPlan, onProgress?: (done: number, total: number) => void): Promise<NativeModel>;
  /**
   * Packs rows of one matrix of a file, from `firstRow` (a multiple of 16) on: the bytes as kernels/packed.h lays them
   * out, so that those of all rows are the concatenation of those of parts. The last part alone may end within a tile
   * of 16 rows.
   *
   * @throws CheckpointError when the file is not what the plan says, ShapeError for columns that do not fit.
   */
  packWeight(
    file: { readonly path: string; readonly bytes: number },
    weight: WeightPlan,
    options: Packing & { readonly firstRow: number; readonly rows: number; readonly threads: number },
  ): Promise<Uint8Array>;
  /** Rows of one matrix of a file, of any type, as numbers one behind the other. @throws CheckpointError as `packWeight`. */
  readWeight(
    file: { readonly path: string; readonly bytes: number },
    weight: WeightPlan,
    options: { readonly type: "BF16" | "F16" | "F32"; readonly firstRow: number; readonly rows: number },
  ): Promise<Uint8Array>;
  /** Whole windows of `tokens`. @throws StateError where none is left beside those held out. */
  createCalibration(plan: ModelPlan, tokens: Int32Array, options: CalibrationOptions): NativeCalibration;
  /** kPackedLayout of kernels/packed.h: counts up when the bytes of packed matrices lie in another way. */
  readonly packedLayout: number;
  /** Measures the machine, medians over the passes, off the JavaScript thread, while nothing else should run. */
  probe(options: ProbeOptions): Promise<MachineLimits>;
  /**
   * What a plug-in has. Its file stays open.
   *
   * @throws DeviceError where it is no plug-in of this build, or finds no driver or no device.
   */
  pluginDevices(plugin: string): DeviceInfo[];
  /** Bytes of the host's memory held by native code in this process: allocated and mapped. */
  nativeBytes(): { allocated: number; mapped: number };
}

const require = createRequire(import.meta.url);

/** Where a build of this package leaves the addon, seen from src/native and dist/native alike. */
const builtHere = fileURLToPath(new URL("../../build/Release/minicpm.node", import.meta.url));

let loaded: NativeAddon | undefined;

/** The file that `addon` loads. */
export function addonPath(): string {
  return process.env.MINICPM_BINARY || builtHere;
}

/**
 * The addon: MINICPM_BINARY if set, else the one built in this package.
 *
 * @throws AddonNotFoundError with the places tried and how to build it.
 */
export function addon(): NativeAddon {
  if (loaded) return loaded;
  const path = addonPath();
  if (!existsSync(path)) throw new AddonNotFoundError(path, "there is no such file");
  try {
    loaded = require(path) as NativeAddon;
  } catch (cause) {
    throw new AddonNotFoundError(path, cause instanceof Error ? cause.message : String(cause));
  }
  return loaded;
}
