import type { ToolDefinition } from "../tools/tool.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { Generation } from "./generation.ts";
import type { Message } from "./message.ts";

export interface SessionOptions {
  /** Instructions that stand before the conversation: a first message of role "system". */
  readonly system?: string | undefined;
  /** A conversation to go on with. */
  readonly messages?: readonly Message[] | undefined;
  /** What the model may call, in every answer. Saved sessions are loaded with theirs given anew. Default: nothing. */
  readonly tools?: readonly ToolDefinition[] | undefined;
  /** Tokens this session can hold, at most the model's. Default: the model's. */
  readonly contextLength?: number | undefined;
}

/** A conversation that remembers: its messages, and the keys and values of their tokens. */
export interface Session extends AsyncDisposable {
  /**
   * Adds a message, or several such as the results of an answer's calls, and answers; a second send while one runs
   * waits for its turn.
   *
   * The message and its answer are remembered when the answer is complete. A send that fails or is aborted leaves no
   * trace in `messages`, as if it had not been made; what was made of the answer is in the AbortError.
   *
   * The run rejects with ContextOverflowError, before any work, if the conversation does not fit.
   */
  send(input: string | Message | readonly Message[], options?: GenerateOptions): Generation;
  /** The conversation, the system message first if there is one: a copy. */
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
  /**
   * Saves the conversation to the folder `path`, with its keys and values, so that `model.loadSession` goes on without
   * computing them again. Waits for sends that were made before.
   *
   * @throws StorageError; what was saved there before is whole then.
   */
  save(path: string): Promise<void>;
  /** Aborts what runs and frees the memory. A second call does nothing. */
  close(): Promise<void>;
}
