import { Admission } from "../engine/admission.ts";
import { Sequence } from "../engine/sequence.ts";
import { ContextOverflowError, OptionError, StateError } from "../errors.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { CacheStatus, NativeModel } from "../native/binding.ts";
import { withPublicErrors } from "../native/error-table.ts";
import { answer, type Question, type Voice } from "./answer.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { Generation } from "./generation.ts";
import type { Message } from "./message.ts";
import type { EmbedOptions, LoadSessionOptions, Model, ModelInfo, ReadOptions, ReadResult } from "./model.ts";
import { checkOptions } from "./option-checks.ts";
import { Runs } from "./runs.ts";
import { readSavedSession } from "./saved-session.ts";
import { SequenceSession, type SessionHome } from "./sequence-session.ts";
import type { Session, SessionOptions } from "./session.ts";
import type { ChatTemplate } from "./template.ts";

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
      const { thinking, tools } = options;
      const { template } = this.#parts;
      const render = { addGenerationPrompt: true, thinking, tools };
      const { tokens, openedThought } = template.encode(messages, render);
      const canThink = template.hasThinking;
      return { prompt: tokens, openedThought, canThink, ...(tools && { tools }), options };
    });
  }

  complete(prompt: string | Int32Array, options: GenerateOptions = {}): Generation {
    return this.#start(options, () => ({ prompt: this.#promptTokens(prompt), plain: true, options }));
  }

  embed(text: string, options?: EmbedOptions): Promise<Float32Array>;
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  async embed(
    texts: string | readonly string[],
    options: EmbedOptions = {},
  ): Promise<Float32Array | Float32Array[]> {
    checkOptions(options);
    const { signal = new AbortController().signal } = options;
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
    checkOptions(options);
    const { onNotice = () => {}, onProgress = () => {}, signal, tools } = options;
    const saved = await readSavedSession(path);
    const { messages, model, tokens, fingerprint } = saved;
    const contextLength = options.contextLength ?? Math.min(saved.contextLength, this.info.contextLength);
    const session = this.#createSession({ messages, tools, contextLength });
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

  async read(messages: readonly Message[], options: ReadOptions = {}): Promise<ReadResult> {
    checkOptions(options);
    const { onProgress = () => {}, signal = new AbortController().signal } = options;
    const { tokens } = this.#parts.template.encode(messages, { addGenerationPrompt: false });
    const total = tokens.length;
    const capacity = this.info.contextLength;
    if (total > capacity) throw new ContextOverflowError(total, capacity);
    const question = { prompt: tokens, options: { maxTokens: 0 } } as const;
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
    checkOptions(options);
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
    }, options);
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
