import type { Sequence } from "../engine/sequence.ts";
import { Turns } from "../engine/turns.ts";
import { OptionError, StateError } from "../errors.ts";
import { answer, type Voice } from "./answer.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { Generation, GenerationEvent } from "./generation.ts";
import { checkMessages, type Message } from "./message.ts";
import type { Result } from "./result.ts";
import { Runs } from "./runs.ts";
import type { ChatTemplate } from "./template.ts";
import { Transcript } from "./transcript.ts";

export interface SessionOptions {
  /** Instructions that stand before the conversation: a first message of role "system". */
  readonly system?: string | undefined;
  /** A conversation to go on with. */
  readonly messages?: readonly Message[] | undefined;
  /** Tokens this session can hold, at most the model's. Default: the model's. */
  readonly contextLength?: number | undefined;
}

/** A conversation that remembers: its messages, and the keys and values of their tokens. */
export interface Session extends AsyncDisposable {
  /**
   * Adds a message and answers it; a second send while one runs waits for its turn.
   *
   * The message and its answer are remembered when the answer is complete. A send that fails or is aborted leaves no
   * trace in `messages`, as if it had not been made; what was made of the answer is in the AbortError.
   *
   * The run rejects with ContextOverflowError, before any work, if the conversation does not fit.
   */
  send(input: string | Message, options?: GenerateOptions): Generation;
  /** The conversation, the system message first if there is one. */
  readonly messages: readonly Message[];
  /** Tokens that the conversation takes; during a run, those held so far. */
  readonly contextUsed: number;
  /** Tokens that fit. */
  readonly contextLength: number;
  /** Replaces the system message; undefined removes it. @throws StateError while a send runs or waits. */
  setSystem(system: string | undefined): void;
  /** Removes the last user message and what followed it; gives them back. @throws StateError while a send runs or waits. */
  undo(): readonly Message[];
  /** Removes the oldest turns (a user message and what follows it) and gives them back. @throws StateError while a send runs or waits. */
  dropOldest(turns: number): readonly Message[];
  /** Removes all messages but the system's. @throws StateError while a send runs or waits. */
  reset(): void;
  /**
   * Another session that has said the same so far and goes its own way; what both have said is held in memory once.
   *
   * @throws StateError while a send runs or waits, OutOfMemoryError when what it may still grow does not fit.
   */
  fork(): Session;
  /** Aborts what runs and frees the memory. A second call does nothing. */
  close(): Promise<void>;
}

/** A Session on a sequence of its own. */
export class SequenceSession implements Session {
  readonly #voice: Voice;
  readonly #template: ChatTemplate;
  readonly #sequence: Sequence;
  readonly #turns = new Turns();
  readonly #runs = new Runs();
  readonly #open: Set<SequenceSession>;
  #transcript: Transcript;
  #messages: readonly Message[] = [];
  /** Tokens that #messages take; undefined until counted. */
  #used: number | undefined = 0;
  #closed: Promise<void> | undefined;

  /** Owns the sequence from here on; is in `open` until closed. @throws OptionError for messages that are none. */
  constructor(
    voice: Voice,
    template: ChatTemplate,
    sequence: Sequence,
    { system, messages = [] }: SessionOptions = {},
    open: Set<SequenceSession> = new Set(),
  ) {
    this.#voice = voice;
    this.#template = template;
    this.#sequence = sequence;
    this.#open = open;
    this.#transcript = new Transcript(voice.tokenizer);
    if (system !== undefined && messages[0]?.role === "system") {
      throw new OptionError("system", "left out where messages begin with a system message", system);
    }
    this.#remember([...systemMessages(system), ...messages]);
    open.add(this);
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  get contextLength(): number {
    return this.#sequence.capacity;
  }

  get contextUsed(): number {
    if (this.#turns.busy) return this.#sequence.length;
    this.#used ??= this.#count();
    return this.#used;
  }

  send(input: string | Message, options: GenerateOptions = {}): Generation {
    const message: Message = typeof input === "string" ? { role: "user", content: input } : input;
    return this.#runs.start(
      (emit, signal) => this.#turns.take(() => this.#answer(message, options, emit, signal), signal),
      options.signal,
    );
  }

  setSystem(system: string | undefined): void {
    this.#remember([...systemMessages(system), ...this.#idle().slice(this.#systemLength)]);
  }

  undo(): readonly Message[] {
    const start = this.#idle().findLastIndex(({ role }) => role === "user");
    return this.#remove(start < 0 ? this.#messages.length : start, this.#messages.length);
  }

  dropOldest(turns: number): readonly Message[] {
    if (!(Number.isInteger(turns) && turns > 0)) throw new OptionError("turns", "an integer above 0", turns);
    const starts = this.#idle().flatMap(({ role }, index) => (role === "user" ? [index] : []));
    return this.#remove(this.#systemLength, starts[turns] ?? this.#messages.length);
  }

  reset(): void {
    this.#remember(this.#idle().slice(0, this.#systemLength));
  }

  fork(): Session {
    const messages = this.#idle();
    const sequence = this.#sequence.fork();
    const session = new SequenceSession(this.#voice, this.#template, sequence, { messages }, this.#open);
    session.#transcript = this.#transcript.copy();
    return session;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #answer(
    message: Message,
    options: GenerateOptions,
    emit: (event: GenerationEvent) => void,
    signal: AbortSignal,
  ): Promise<Result> {
    this.#refuseClosed();
    const messages = [...this.#messages, message];
    const render = { addGenerationPrompt: true, thinking: options.thinking };
    const prompt = this.#template.encode(messages, render, this.#transcript);
    const thinking = prompt.opensThought ? "opened" : "possible";
    const question = { prompt: prompt.tokens, thinking, options } as const;
    const result = await answer(this.#voice, this.#sequence, question, emit, signal);
    this.#remember([...messages, replyMessage(result)], this.#sequence.length);
    // Thoughts are left out of later turns, and a stop text of the answer: then it is not what the tokens say.
    const whole = this.#voice.tokenizer.decode(result.tokens) === result.text;
    if (whole && result.thinking === undefined) this.#transcript.add(prompt, result);
    return result;
  }

  /** The messages, if they may be changed now. */
  #idle(): readonly Message[] {
    this.#refuseClosed();
    if (this.#turns.busy)
      throw new StateError("A send of this session runs or waits: await or abort it first.");
    return this.#messages;
  }

  #refuseClosed(): void {
    if (this.#closed) throw new StateError("The session is closed.");
  }

  get #systemLength(): number {
    return this.#messages[0]?.role === "system" ? 1 : 0;
  }

  #remember(messages: readonly Message[], used?: number): void {
    if (messages.length > 0) checkMessages(messages);
    this.#messages = messages;
    this.#used = used;
  }

  #remove(start: number, end: number): readonly Message[] {
    const removed = this.#messages.slice(start, end);
    if (removed.length > 0) this.#remember([...this.#messages.slice(0, start), ...this.#messages.slice(end)]);
    return removed;
  }

  #count(): number {
    if (this.#messages.length === 0) return 0;
    const render = { addGenerationPrompt: false };
    return this.#template.encode(this.#messages, render, this.#transcript).tokens.length;
  }

  async #close(): Promise<void> {
    await this.#runs.abort();
    this.#sequence.dispose();
    this.#open.delete(this);
  }
}

function systemMessages(system: string | undefined): Message[] {
  return system === undefined ? [] : [{ role: "system", content: system }];
}

/** What the model said, as templates want it in later turns. */
function replyMessage({ text, thinking }: Result): Message {
  return { role: "assistant", content: text, ...(thinking !== undefined && { thinking }) };
}
