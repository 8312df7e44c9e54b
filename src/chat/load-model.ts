import { resolve } from "node:path";
import { AbortError, OptionError, OutOfMemoryError, UnsupportedError } from "../errors.ts";
import { checkKvType, kvTypes } from "../model/config.ts";
import { modelFingerprint } from "../model/fingerprint.ts";
import { openModel } from "../model/load.ts";
import { checkPackable } from "../model/packed-model.ts";
import { extendRope, type RopeMode, ropeModes } from "../model/rope-extension.ts";
import { chooseSparse, type SparseMode, sparseModes } from "../model/sparse-rule.ts";
import { addon, type KvType, type ModelPlan, type NativeModel } from "../native/binding.ts";
import { publicError, withPublicErrors } from "../native/error-table.ts";
import { chooseContextLength } from "./context-length.ts";
import { type CpuOnly, chooseDevice, type Device, isDevice } from "./device.ts";
import { type SpillOptions, spillOf } from "./kv-spill.ts";
import { LocalModel } from "./local-model.ts";
import type { Model } from "./model.ts";
import { withTokenizer } from "./model-memory.ts";
import { checkOptions, oneOf } from "./option-checks.ts";
import { checkPackOptions, type PackOptions, packingOf } from "./packing.ts";
import { ChatTemplate } from "./template.ts";

/** How far loading is. `open`: headers and tokenizer, in steps; `load`: weights, in bytes. */
export interface LoadProgress {
  readonly phase: "open" | "load";
  readonly done: number;
  readonly total: number;
}

const defaultDirectoryBytes = 8 * 2 ** 30;

export interface LoadOptions extends PackOptions, SpillOptions {
  /**
   * Where to run: "cpu", "cuda:0" (or another number) where there is the CUDA plug-in, "reference" for the slow
   * definition in plain loops. Default "auto": the first CUDA device that can do what is asked, else the CPU;
   * `info.notices` says why where the plug-in is there and not taken.
   */
  readonly device?: Device | undefined;
  /**
   * Tokens a conversation can hold. Default "auto": the model's maximum if it fits in half of free memory, else the
   * largest that does; `info.contextReason` says which.
   */
  readonly contextLength?: number | "auto" | undefined;
  /** Threads that compute. Default: one a physical core. */
  readonly threads?: number | undefined;
  /** How keys and values are held. Default "f32" on reference, else "f16". */
  readonly kvType?: KvType | undefined;
  /**
   * Sparse attention (InfLLM v2): "auto" as the model was trained, "on" also where it was not, "off" never. Default
   * "auto"; `info.sparse` says what runs.
   */
  readonly sparse?: SparseMode | undefined;
  /**
   * Rotary positions: "native" as the model's files say, "128k" by the extension of MiniCPM4-8B's and MiniCPM4.1-8B's
   * cards, for up to 131,072 tokens. Other models throw UnsupportedError. Default "native".
   */
  readonly rope?: RopeMode | undefined;
  /**
   * Bytes of keys and values that are kept for later prompts when no session holds them any more: a prompt that begins
   * like an earlier one starts from them. Dropped, oldest first, when sessions need the memory. Default: an eighth
   * of the memory free before loading; 0 keeps none.
   */
  readonly cacheBytes?: number | undefined;
  /**
   * A folder where keys and values are kept as files too, so that other processes and later runs start from them. They
   * are written beside the answers, for their owner's eyes only (0600); a full disk ends the writing and no answer, see
   * `model.cacheStatus()`. Default: none.
   */
  readonly cacheDir?: string | undefined;
  /** Bytes that all models' files in `cacheDir` may take, about: the longest unused go first. Default 8 GiB. */
  readonly cacheDirBytes?: number | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a model: opens its files, plans its memory, then reads its weights. MINICPM_CPU forces an instruction set.
 *
 * @param reference a folder with config.json, safetensors and tokenizer.json, a .gguf file, the name of one in
 *   $MINICPM_MODELS or among this package's models ("nano"), or ORG/NAME of one in the Hugging Face cache
 * @throws ModelNotFoundError, CheckpointError, UnsupportedError, OptionError, AddonNotFoundError, DeviceError
 * @throws OutOfMemoryError before any weight is read, where the model does not fit.
 * @throws AbortError when `signal` fires; what was loaded by then is freed.
 */
export async function loadModel(reference: string, options: LoadOptions = {}): Promise<Model> {
  const start = performance.now();
  if (typeof reference !== "string" || reference === "") {
    throw new OptionError("model", "a path or a name", reference);
  }
  checkOptions(options);
  const place = placeOf(options);
  checkPackOptions(options);
  try {
    return await loadOn(place, reference, options, start);
  } catch (error) {
    const mayMove = (options.device ?? "auto") === "auto" && place.device.startsWith("cuda");
    if (!(mayMove && error instanceof OutOfMemoryError)) throw error;
    const notice = `Running on the CPU, not on CUDA: ${error.message}`;
    const processor = placeOf({ ...options, device: "cpu" });
    return await loadOn({ ...processor, notice }, reference, options, start);
  }
}

/** @param start when the call began */
async function loadOn(
  place: ReturnType<typeof placeOf>,
  reference: string,
  options: LoadOptions,
  start: number,
): Promise<Model> {
  const { signal, onProgress = () => {} } = options;
  refuseAborted(signal);
  onProgress({ phase: "open", done: 0, total: 1 });
  const opened = openModel(reference);
  checkKvType(place.kvType, opened.config);
  const sparse = chooseSparse(
    opened.path,
    opened.config,
    oneOf("sparse", options.sparse ?? "auto", sparseModes),
  );
  const rope = oneOf("rope", options.rope ?? "native", ropeModes);
  const config = extendRope(opened.path, opened.config, rope);
  const template = new ChatTemplate(opened.tokenizer, {
    source: opened.chatTemplate,
    file: opened.path,
    tokens: opened.templateTokens,
    toolsAsText: /^minicpm/i.test(opened.config.architecture),
  });
  onProgress({ phase: "open", done: 1, total: 1 });

  const { freeBytes, notice, ...where } = place;
  const cacheBytes = options.cacheBytes ?? Math.floor(freeBytes / 8);
  const packing = packingOf(options, opened);
  const run = {
    ...opened.plan,
    ...where,
    ...packing,
    config: {
      ...opened.plan.config,
      ...(config.longRope && { longRope: config.longRope }),
      sparse: sparse.rule,
    },
  };
  const plan: ModelPlan = {
    ...run,
    ...spillOf(options, sparse.rule, freeBytes),
    cacheBytes,
    fingerprint: modelFingerprint(run),
    ...(options.cacheDir !== undefined && {
      directory: { path: resolve(options.cacheDir), bytes: options.cacheDirBytes ?? defaultDirectoryBytes },
    }),
  };
  checkPackable(plan);
  const choice = withPublicErrors(() =>
    chooseContextLength({
      asked: options.contextLength ?? "auto",
      most: config.maxContext,
      freeBytes,
      memoryPlan: (capacity) => addon().memoryPlan(plan, { capacity, sequences: 1 }),
    }),
  );
  const native = await loadWeights(plan, onProgress, signal);
  const loadMs = performance.now() - start;
  const { tokenizer, stopTokens, generationConfig: defaults } = opened;
  return new LocalModel({
    native,
    tokenizer,
    template,
    voice: { tokenizer, vocabSize: config.vocabSize, stopTokens, defaults, loadMs },
    info: {
      name: opened.name,
      path: opened.path,
      architecture: config.architecture,
      config,
      device: native.device,
      isa: native.isa,
      threads: native.threads,
      pack: packing.pack,
      activations: packing.activations,
      kvType: place.kvType,
      sparse: sparse.text,
      rope,
      maxContextLength: config.maxContext,
      ...choice,
      memory: withTokenizer(choice.memory, tokenizer.vocabSize),
      hasThinking: template.hasThinking,
      hasTools: template.hasTools,
      loadMs,
      notices: [notice, sparse.notice].filter((each) => each !== undefined),
    },
  });
}

/** Where and how to run, and what is to be said of it. @throws OptionError, UnsupportedError, DeviceError */
function placeOf(options: LoadOptions) {
  const { threads = 0, cacheBytes = 0, cacheDirBytes = 0 } = options;
  const { device = "auto" } = options;
  if (!isDevice(device)) throw new OptionError("device", '"auto", "cpu", "reference" or "cuda:N"', device);
  const kvType = oneOf("kvType", options.kvType ?? (device === "reference" ? "f32" : "f16"), kvTypes);
  if (device === "reference" && kvType !== "f32") {
    throw new UnsupportedError(`kvType "${kvType}" on device "reference"`, 'It computes in "f32" only.');
  }
  if (options.threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new OptionError("threads", "an integer from 1 to 1024", threads);
  }
  if (!(Number.isSafeInteger(cacheBytes) && cacheBytes >= 0)) {
    throw new OptionError("cacheBytes", "an integer of at least 0", cacheBytes);
  }
  if (!(Number.isSafeInteger(cacheDirBytes) && cacheDirBytes >= 0)) {
    throw new OptionError("cacheDirBytes", "an integer of at least 0", cacheDirBytes);
  }
  const isa = device === "reference" ? "" : (process.env.MINICPM_CPU ?? "");
  return { ...chooseDevice(device, cpuOnly(options)), threads, kvType, isa };
}

/** What is asked for that wants the host's memory. */
function cpuOnly({ kvSpill }: LoadOptions): CpuOnly {
  return kvSpill === undefined ? undefined : "kvSpill";
}

/**
 * Rejects at once when aborted or when `onProgress` throws; native loading ends by itself, and what it loaded is freed
 * then.
 */
async function loadWeights(
  plan: ModelPlan,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal | undefined,
): Promise<NativeModel> {
  refuseAborted(signal);
  let aborted = false;
  return new Promise((fulfil, reject) => {
    const report = (done: number, total: number) => {
      if (aborted) return;
      try {
        onProgress({ phase: "load", done, total });
      } catch (error) {
        aborted = true;
        reject(error);
      }
    };
    const abort = () => {
      aborted = true;
      reject(abortError(signal));
    };
    signal?.addEventListener("abort", abort, { once: true });
    withPublicErrors(() => addon().loadModel(plan, report))
      .then((native) => (aborted ? native.dispose() : fulfil(native)))
      .catch((error) => reject(publicError(error)))
      .finally(() => signal?.removeEventListener("abort", abort));
  });
}

function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

function abortError(signal: AbortSignal | undefined): AbortError {
  return new AbortError(undefined, { cause: signal?.reason });
}
