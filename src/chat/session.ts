import type { GenerateOptions } from "./generate-options.ts";
import type { Generation } from "./generation.ts";
import type { Message } from "./message.ts";

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
   * What was seen is what is remembered: an aborted send keeps its message and the text made so far; one that fails,
   * or is aborted before any text, leaves no trace in `messages`.
   *
   * @throws ContextOverflowError, before anything runs, if the conversation does not fit.
   */
  send(input: string | Message, options?: GenerateOptions): Generation;
  /** The conversation, the system message first if there is one. */
  readonly messages: readonly Message[];
  /** Tokens held. */
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
  /** Aborts what runs and frees the memory. A second call does nothing. */
  close(): Promise<void>;
}
