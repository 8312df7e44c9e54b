import type { KvType, MemoryPlan, NativeDevice } from "../native/binding.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { Generation } from "./generation.ts";
import type { Message } from "./message.ts";
import type { Session, SessionOptions } from "./session.ts";

/** What was loaded, where it runs, and what it takes. */
export interface ModelInfo {
  /** The folder's or file's name. */
  readonly name: string;
  readonly path: string;
  /** As the checkpoint names it: "MiniCPMForCausalLM", "llama". */
  readonly architecture: string;
  readonly device: NativeDevice;
  /** Instruction set in use. */
  readonly isa: string;
  readonly threads: number;
  readonly activations: "f32";
  readonly kvType: KvType;
  /** Tokens one conversation can hold. */
  readonly contextLength: number;
  /** Tokens the model was made for. */
  readonly maxContextLength: number;
  /** Why `contextLength` is what it is, as a sentence. */
  readonly contextReason: string;
  /** Bytes taken, with one sequence of `contextLength`. */
  readonly memory: MemoryPlan;
  /** Milliseconds that loading took. */
  readonly loadMs: number;
  /** What a user should know of how this model runs: a sentence each. */
  readonly notices: readonly string[];
}

/** A loaded model. Runs on several conversations of it take turns. */
export interface Model extends AsyncDisposable {
  readonly info: ModelInfo;
  /** Answers the last message. Remembers nothing. */
  chat(messages: readonly Message[], options?: GenerateOptions): Generation;
  /** Goes on with a text (bos is put before it where the tokenizer says so) or with tokens (used as they are). */
  complete(prompt: string | Int32Array, options?: GenerateOptions): Generation;
  createSession(options?: SessionOptions): Session;
  /** Aborts what runs, closes the sessions and frees the memory. A second call does nothing. */
  close(): Promise<void>;
}
