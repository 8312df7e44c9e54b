import type { Sequence } from "../engine/sequence.ts";
import { Turns } from "../engine/turns.ts";
import { OptionError, StateError } from "../errors.ts";
import { checkTools, type ToolDefinition } from "../tools/tool.ts";
import { answer, type Voice } from "./answer.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { Generation, GenerationEvent } from "./generation.ts";
import { checkMessages, type Message } from "./message.ts";
import { checkOptions } from "./option-checks.ts";
import type { Result } from "./result.ts";
import { Runs } from "./runs.ts";
import { type SavedSession, writeSavedSession } from "./saved-session.ts";
import type { Session, SessionOptions } from "./session.ts";
import type { ChatTemplate } from "./template.ts";
import { Transcript } from "./transcript.ts";

/** What a session knows of the model it is of. */
export interface SessionHome {
  readonly model: string;
  readonly fingerprint: string;
  /** The sessions that are not closed. */
  readonly open: Set<SequenceSession>;
}

/** A Session on a sequence of its own. */
export class SequenceSession implements Session {
  readonly #voice: Voice;
  readonly #template: ChatTemplate;
  readonly #sequence: Sequence;
  readonly #turns = new Turns();
  readonly #runs = new Runs();
  readonly #home: SessionHome;
  readonly #tools: readonly ToolDefinition[];
  #transcript: Transcript;
  #messages: readonly Message[] = [];
  /** Tokens that #messages take; undefined until counted. */
  #used: number | undefined = 0;
  #closed: Promise<void> | undefined;

  /** Owns the sequence from here on; is in the home's `open` until closed. @throws OptionError for messages that are none. */
  constructor(
    voice: Voice,
    template: ChatTemplate,
    sequence: Sequence,
    options: SessionOptions,
    home: SessionHome,
  ) {
    this.#voice = voice;
    this.#template = template;
    this.#sequence = sequence;
    this.#home = home;
    checkOptions(options);
    const { system, messages = [], tools = [] } = options;
    checkTools(tools);
    this.#tools = tools;
    this.#transcript = new Transcript(voice.tokenizer);
    if (!Array.isArray(messages)) throw new OptionError("messages", "a list of messages", messages);
    if (system !== undefined && messages[0]?.role === "system") {
      throw new OptionError("system", "left out where messages begin with a system message", system);
    }
    this.#remember([...systemMessages(system), ...messages]);
    home.open.add(this);
  }

  get messages(): readonly Message[] {
    return this.#messages.map((message) => ({ ...message }));
  }

  get contextLength(): number {
    return this.#sequence.capacity;
  }

  get contextUsed(): number {
    if (this.#turns.busy) return this.#sequence.length;
    this.#used ??= this.#count();
    return this.#used;
  }

  send(input: string | Message | readonly Message[], options: GenerateOptions = {}): Generation {
    const added = typeof input === "string" ? [{ role: "user", content: input } as const] : [input].flat();
    return this.#runs.start(
      (emit, signal) => this.#turns.take(() => this.#answer(added, options, emit, signal), signal),
      options,
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
    const options = { messages, tools: this.#tools };
    const session = new SequenceSession(this.#voice, this.#template, sequence, options, this.#home);
    session.#transcript = this.#transcript.copy();
    return session;
  }

  save(path: string): Promise<void> {
    return this.#turns.take(async () => {
      this.#refuseClosed();
      const session: SavedSession = {
        model: this.#home.model,
        fingerprint: this.#home.fingerprint,
        contextLength: this.contextLength,
        messages: this.#messages,
        transcript: this.#transcript.saved(),
        tokens: [...this.#sequence.tokens()],
      };
      await writeSavedSession(path, session, (folder, previous) => this.#sequence.save(folder, previous));
    }, new AbortController().signal);
  }

  /**
   * Goes on where a saved session ended. Holds its tokens afterwards, read from `folder` but for the last few, where
   * they were computed by the same model and settings.
   */
  async resume(
    { transcript, fingerprint, tokens, folder }: SavedSession & { readonly folder: string },
    onProgress: (done: number, cached: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    this.#transcript = Transcript.restored(this.#voice.tokenizer, transcript);
    const { vocabSize } = this.#voice;
    const known = fingerprint === this.#home.fingerprint && tokens.every((token) => token < vocabSize);
    if (!known || tokens.length === 0 || tokens.length > this.contextLength) return;
    await this.#sequence.prefill(Int32Array.from(tokens), onProgress, { folder, signal });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #answer(
    added: readonly Message[],
    options: GenerateOptions,
    emit: (event: GenerationEvent) => void,
    signal: AbortSignal,
  ): Promise<Result> {
    this.#refuseClosed();
    const messages = [...this.#messages, ...added];
    const { thinking, tools = this.#tools } = options;
    const render = { addGenerationPrompt: true, thinking, tools };
    const prompt = this.#template.encode(messages, render, this.#transcript);
    const { tokens, openedThought } = prompt;
    const result = await answer(
      this.#voice,
      this.#sequence,
      { prompt: tokens, openedThought, canThink: this.#template.hasThinking, tools, options },
      emit,
      signal,
    );
    this.#remember([...messages, replyMessage(result)], this.#sequence.length);
    // Forgotten by the next prompt where the template writes the answer in other words: thoughts are left out.
    this.#transcript.add(prompt, {
      text: this.#voice.tokenizer.decode(result.tokens),
      tokens: result.tokens,
    });
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
    this.#messages = messages.map((message) => ({ ...message }));
    this.#used = used;
  }

  #remove(start: number, end: number): readonly Message[] {
    const removed = this.#messages.slice(start, end);
    if (removed.length > 0) this.#remember([...this.#messages.slice(0, start), ...this.#messages.slice(end)]);
    return removed;
  }

  #count(): number {
    if (this.#messages.length === 0) return 0;
    const render = { addGenerationPrompt: false, tools: this.#tools };
    return this.#template.encode(this.#messages, render, this.#transcript).tokens.length;
  }

  async #close(): Promise<void> {
    await this.#runs.abort();
    this.#sequence.dispose();
    this.#home.open.delete(this);
  }
}

function systemMessages(system: string | undefined): Message[] {
  return system === undefined ? [] : [{ role: "system", content: system }];
}

/** What the model said, as templates want it in later turns. */
function replyMessage({ text, thinking, calls }: Result): Message {
  return {
    role: "assistant",
    content: text,
    ...(thinking !== undefined && { thinking }),
    ...(calls.length > 0 && { calls }),
  };
}
