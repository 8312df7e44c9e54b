/** A chat as its loop and its commands share it. */
import type { GenerateOptions, Model, Result, Session } from "../index.ts";
import type { Terminal } from "./terminal.ts";
import type { OpenTools } from "./tool-options.ts";

export interface ChatState {
  readonly model: Model;
  /** Another one after /load. */
  session: Session;
  readonly terminal: Terminal;
  /** What /set changes. */
  options: GenerateOptions;
  /** What the model may call; absent without --tools and --mcp. */
  readonly tools?: OpenTools | undefined;
  /** The message that /retry sends again: the last one sent, answered or not. */
  lastMessage: string | undefined;
  /** Whether `lastMessage` and its answer are in the session: not after a stop or an error. */
  lastAnswered: boolean;
  lastResult: Result | undefined;
}

/** What the loop does after a command. */
export type Next =
  | { readonly type: "prompt" }
  | { readonly type: "send"; readonly text: string }
  | { readonly type: "save" | "load"; readonly path: string }
  | { readonly type: "quit" };
