import type { ModelConfig } from "../model/config.ts";
import type { RopeMode } from "../model/rope-extension.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { CacheStatus, KvType, NativeDevice, Packing, SpillStatus } from "../native/binding.ts";
import type { ToolDefinition } from "../tools/tool.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { Generation } from "./generation.ts";
import type { Message } from "./message.ts";
import type { ModelMemory } from "./model-memory.ts";
import type { Session, SessionOptions } from "./session.ts";

/** What was loaded, where it runs, and what it takes. */
export interface ModelInfo {
  /** The folder's or file's name. */
  readonly name: string;
  readonly path: string;
  /** As the checkpoint names it: "MiniCPMForCausalLM", "llama". */
  readonly architecture: string;
  /** The model's numbers. */
  readonly config: ModelConfig;
  readonly device: NativeDevice;
  /** Instruction set in use. */
  readonly isa: string;
  readonly threads: number;
  /** How the weights are packed, at load or in the files; undefined where they are not. */
  readonly pack: Packing | undefined;
  readonly activations: "f32" | "int8";
  readonly kvType: KvType;
  /** Sparse attention that runs, for people: "none", or which rule from how many tokens on. */
  readonly sparse: string;
  /** Rotary positions: the files' own, or extended to 128K tokens. */
  readonly rope: RopeMode;
  /** Tokens one conversation can hold. */
  readonly contextLength: number;
  /** Tokens the model was made for. */
  readonly maxContextLength: number;
  /** Why `contextLength` is what it is, as a sentence. */
  readonly contextReason: string;
  /** Bytes taken, with one sequence of `contextLength`. */
  readonly memory: ModelMemory;
  /** The chat template can turn thinking on and off. */
  readonly hasThinking: boolean;
  /** The model can be told what it may call: by its chat template, or as MiniCPM models are. */
  readonly hasTools: boolean;
  /** Milliseconds that loading took. */
  readonly loadMs: number;
  /** What a user should know of how this model runs: a sentence each. */
  readonly notices: readonly string[];
}

export interface EmbedOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A loaded model. */
export interface Model extends AsyncDisposable {
  readonly info: ModelInfo;
  readonly tokenizer: Tokenizer;
  /** Answers the last message. Remembers nothing. */
  chat(messages: readonly Message[], options?: GenerateOptions): Generation;
  /** Goes on with a text (bos is put before it where the tokenizer says so) or with tokens (used as they are). */
  complete(prompt: string | Int32Array, options?: GenerateOptions): Generation;
  /**
   * One vector of length 1 a text, `[hiddenSize]`: the mean of the final hidden states. Texts with like meaning have a
   * high dot product. A model made for chat is no embedding model: expect rough neighbourhoods.
   *
   * @throws ContextOverflowError for a text that does not fit, OptionError for an empty one, AbortError.
   */
  embed(text: string, options?: EmbedOptions): Promise<Float32Array>;
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  /** @throws OutOfMemoryError, OptionError, StateError when the model is closed. */
  createSession(options?: SessionOptions): Session;
  /**
   * Goes on with a session that `session.save` has saved: its messages, and its keys and values as far as this model
   * with these settings has made them; what it has not is computed by the next send.
   *
   * @throws OptionError where it was saved with another `rope`.
   * @throws SavedSessionError, and what createSession throws; AbortError when `signal` fires.
   */
  loadSession(path: string, options?: LoadSessionOptions): Promise<Session>;
  /**
   * Reads the beginning of a conversation ahead of time: answers to messages that begin like this start at once while
   * `cacheBytes` keep it, and later and in other processes from `cacheDir`, where it is written when this resolves.
   *
   * @throws ContextOverflowError, OptionError, StorageError; AbortError when `signal` fires.
   */
  read(messages: readonly Message[], options?: ReadOptions): Promise<ReadResult>;
  /** What `cacheDir` has come to: undefined without one. */
  cacheStatus(): CacheStatus | undefined;
  /** What keys and values in `kvSpill` have cost: undefined without one. */
  spillStatus(): SpillStatus | undefined;
  /** Aborts what runs, closes the sessions and frees the memory. A second call does nothing. */
  close(): Promise<void>;
}

export interface ReadOptions {
  /** What the model may call: its descriptions stand before the conversation and are read with it. Default: nothing. */
  readonly tools?: readonly ToolDefinition[] | undefined;
  /** Tokens read, of them found already, of all. */
  readonly onProgress?: ((progress: ReadResult & { readonly done: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadResult {
  readonly total: number;
  readonly cached: number;
}

export interface LoadSessionOptions extends ReadOptions {
  /** Default: what the session had, at most the model's. */
  readonly contextLength?: number | undefined;
  /** Told as a sentence when the keys and values cannot be used and why. */
  readonly onNotice?: ((notice: string) => void) | undefined;
}
