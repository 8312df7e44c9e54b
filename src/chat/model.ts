import { Admission } from "../engine/admission.ts";
import { Sequence } from "../engine/sequence.ts";
import { ContextOverflowError, OptionError, StateError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { CacheStatus, KvType, NativeDevice, NativeModel } from "../native/binding.ts";
import { withPublicErrors } from "../native/error-table.ts";
import { answer, type Question, type Voice } from "./answer.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { Generation } from "./generation.ts";
import type { Message } from "./message.ts";
import type { ModelMemory } from "./model-memory.ts";
import { Runs } from "./runs.ts";
import { readSavedSession } from "./saved-session.ts";
import { SequenceSession, type Session, type SessionHome, type SessionOptions } from "./session.ts";
import type { ChatTemplate } from "./template.ts";

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
  readonly activations: "f32";
  readonly kvType: KvType;
  /** Sparse attention that runs, for people: "none", or which rule from how many tokens on. */
  readonly sparse: string;
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
  /** Aborts what runs, closes the sessions and frees the memory. A second call does nothing. */
  close(): Promise<void>;
}

export interface ReadOptions {
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

export interface ModelParts {
  readonly native: NativeModel;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly info: ModelInfo;
  readonly voice: Voice;
}

/** A Model on this machine. */
export class LocalModel implements Model {
  readonly info: ModelInfo;
  readonly tokenizer: Tokenizer;
  readonly #parts: ModelParts;
  readonly #runs = new Runs();
  readonly #home: SessionHome;
  readonly #admission = new Admission();
  #closed: Promise<void> | undefined;

  constructor(parts: ModelParts) {
    this.info = parts.info;
    this.tokenizer = parts.tokenizer;
    this.#parts = parts;
    const { fingerprint } = parts.native;
    this.#home = { model: parts.info.name, fingerprint, open: new Set() };
  }

  chat(messages: readonly Message[], options: GenerateOptions = {}): Generation {
    return this.#start(options, () => {
      const { thinking } = options;
      const prompt = this.#parts.template.encode(messages, { addGenerationPrompt: true, thinking });
      return { prompt: prompt.tokens, thinking: prompt.opensThought ? "opened" : "possible", options };
    });
  }

  complete(prompt: string | Int32Array, options: GenerateOptions = {}): Generation {
    return this.#start(options, () => ({ prompt: this.#promptTokens(prompt), thinking: "none", options }));
  }

  embed(text: string, options?: EmbedOptions): Promise<Float32Array>;
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  async embed(
    texts: string | readonly string[],
    { signal = new AbortController().signal }: EmbedOptions = {},
  ): Promise<Float32Array | Float32Array[]> {
    const given = [texts].flat();
    const wrong = given.findIndex((text) => typeof text !== "string");
    if (wrong >= 0) throw new OptionError("text", "a text or a list of texts", given[wrong]);
    const prompts = given.map((text) => this.#promptTokens(text));
    const empty = prompts.findIndex((tokens) => tokens.length === 0);
    if (empty >= 0) throw new OptionError("text", "not empty", given[empty]);
    const longest = Math.max(0, ...prompts.map((tokens) => tokens.length));
    const capacity = this.info.contextLength;
    if (longest > capacity) throw new ContextOverflowError(longest, capacity);
    const vectors: Float32Array[] = [];
    for (const prompt of prompts) {
      const sequence = await this.#admitted(prompt.length, signal);
      try {
        vectors.push(unit(await sequence.meanHidden(prompt, { signal })));
      } finally {
        sequence.dispose();
      }
    }
    return typeof texts === "string" ? (vectors[0] as Float32Array) : vectors;
  }

  createSession(options: SessionOptions = {}): Session {
    return this.#createSession(options);
  }

  async loadSession(path: string, options: LoadSessionOptions = {}): Promise<Session> {
    const { onNotice = () => {}, onProgress = () => {}, signal } = options;
    const saved = await readSavedSession(path);
    const { messages, model, tokens, fingerprint } = saved;
    const contextLength = options.contextLength ?? Math.min(saved.contextLength, this.info.contextLength);
    const session = this.#createSession({ messages, contextLength });
    try {
      if (fingerprint !== this.#home.fingerprint) {
        onNotice(
          `The session was saved with another model, processor or settings (${model}): ` +
            "its conversation goes on, and is read anew by the next answer.",
        );
      }
      const total = tokens.length;
      await session.resume(saved, (done, cached) => onProgress({ done, cached, total }), signal);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  async read(
    messages: readonly Message[],
    { onProgress = () => {}, signal = new AbortController().signal }: ReadOptions = {},
  ): Promise<ReadResult> {
    const { tokens } = this.#parts.template.encode(messages, { addGenerationPrompt: false });
    const total = tokens.length;
    const capacity = this.info.contextLength;
    if (total > capacity) throw new ContextOverflowError(total, capacity);
    const question = { prompt: tokens, thinking: "none", options: { maxTokens: 0 } } as const;
    const sequence = await this.#admitted(this.#capacityFor(question), signal);
    try {
      let read = 0;
      const report = (done: number, cached: number) => {
        read = cached;
        onProgress({ done, cached, total });
      };
      await sequence.prefill(tokens, report, { signal });
      const folder = this.cacheStatus()?.folder;
      if (folder !== undefined) await sequence.save(folder, undefined, { signal });
      return { total, cached: read };
    } finally {
      sequence.dispose();
    }
  }

  cacheStatus(): CacheStatus | undefined {
    return this.#parts.native.cacheStatus();
  }

  #createSession(options: SessionOptions): SequenceSession {
    const { voice, template } = this.#parts;
    const sequence = this.#createSequence(options.contextLength);
    try {
      return new SequenceSession(voice, template, sequence, options, this.#home);
    } catch (error) {
      sequence.dispose();
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Answers on a sequence of its own, which is gone afterwards; waits while there is no memory for one. */
  #start(options: GenerateOptions, question: () => Question): Generation {
    return this.#runs.start(async (emit, signal) => {
      const asked = question();
      const sequence = await this.#admitted(this.#capacityFor(asked), signal);
      try {
        return await answer(this.#parts.voice, sequence, asked, emit, signal);
      } finally {
        sequence.dispose();
      }
    }, options.signal);
  }

  /** No more tokens than the answer can need, unless that changed which LongRoPE list is in force. */
  #capacityFor({ prompt, options: { maxTokens } }: Question): number {
    const { contextLength, config } = this.info;
    const isLimited =
      Number.isInteger(maxTokens) && contextLength <= (config.longRope?.originalLength ?? Infinity);
    return isLimited ? Math.min(contextLength, prompt.length + (maxTokens as number)) : contextLength;
  }

  #admitted(capacity: number, signal: AbortSignal): Promise<Sequence> {
    return this.#admission.inTurn(() => this.#createSequence(capacity), signal);
  }

  #createSequence(capacity = this.info.contextLength): Sequence {
    if (this.#closed) throw new StateError("The model is closed.");
    const most = this.info.contextLength;
    if (!(Number.isInteger(capacity) && capacity > 0 && capacity <= most)) {
      throw new OptionError("contextLength", `an integer from 1 to the model's ${most}`, capacity);
    }
    const native = withPublicErrors(() => this.#parts.native.createSequence({ capacity }));
    return new Sequence(native, this.#admission);
  }

  #promptTokens(prompt: string | Int32Array): Int32Array {
    if (typeof prompt === "string") return this.tokenizer.encode(prompt, { bos: true });
    if (!(prompt instanceof Int32Array)) {
      throw new OptionError("prompt", "a text or an Int32Array of tokens", prompt);
    }
    const { vocabSize } = this.#parts.voice;
    const wrong = prompt.find((token) => token < 0 || token >= vocabSize);
    if (wrong === undefined) return prompt.slice();
    throw new OptionError("prompt", `tokens from 0 to ${vocabSize - 1}`, wrong);
  }

  async #close(): Promise<void> {
    await this.#runs.abort();
    await Promise.all([...this.#home.open].map((session) => session.close()));
    await this.#parts.native.dispose();
  }
}

/** The vector scaled to length 1; a zero vector stays. */
function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length > 0 ? vector.map((value) => value / length) : vector;
}
