/** Reads messages and answers them until the input ends: the body of `minicpm chat`. */
import { ContextOverflowError, type GenerateOptions, type Model, type Session } from "../index.ts";
import { contextStatus, showAnswer } from "./answer.ts";
import { runChatCommand } from "./chat-commands.ts";
import { ChatKeeper, loadChat, saveChat } from "./chat-saving.ts";
import type { ChatState, Next } from "./chat-state.ts";
import { fullContextAdvice } from "./context-room.ts";
import { exitCodes, isAbort, reportFailure } from "./failure.ts";
import { tellForm } from "./form-options.ts";
import type { LineSource } from "./line-source.ts";
import { type Prompts, readInput } from "./message-reader.ts";
import type { Terminal } from "./terminal.ts";
import type { OpenTools } from "./tool-options.ts";

export interface ChatLoopOptions {
  readonly model: Model;
  readonly session: Session;
  readonly terminal: Terminal;
  readonly generate: GenerateOptions;
  readonly prompts: Prompts;
  readonly json: boolean;
  readonly verbose: boolean;
  /** Somebody is typing: errors are told and the chat goes on. Else the first error ends it. */
  readonly interactive: boolean;
  readonly tools?: OpenTools | undefined;
  /** Where the conversation is kept after every answer; absent: nowhere. */
  readonly keepIn?: string;
}

export class ChatLoop {
  private readonly chat: ChatState;
  private readonly keeper: ChatKeeper | undefined;
  private running: AbortController | undefined;
  /** Ctrl-C pressed in a row. */
  private interrupts = 0;

  constructor(private readonly options: ChatLoopOptions) {
    const { model, session, terminal, generate, keepIn, tools } = options;
    this.keeper = keepIn === undefined ? undefined : new ChatKeeper(keepIn, model, terminal);
    this.chat = {
      model,
      session,
      terminal,
      options: generate,
      tools,
      lastMessage: undefined,
      lastAnswered: false,
      lastResult: undefined,
    };
  }

  /** Ctrl-C while no line is edited: stops the answer; once more, or over a pipe, and the process ends. */
  readonly interrupt = (): void => {
    this.interrupts++;
    if (this.running && !this.running.signal.aborted) this.running.abort();
    else if (this.interrupts > 1 || !this.options.interactive) process.exit(exitCodes.interrupted);
  };

  /** @returns the exit code. */
  async run(source: LineSource): Promise<number> {
    for (;;) {
      const input = await readInput(source, this.options.prompts);
      if (input.type === "end") return exitCodes.ok;
      if (input.type === "interrupt") {
        this.interrupts = input.empty ? this.interrupts + 1 : 0;
        if (this.interrupts > 1) return exitCodes.interrupted;
        if (input.empty) this.chat.terminal.notice("Ctrl-C again or Ctrl-D leaves.");
        continue;
      }
      this.interrupts = 0;
      const next: Next =
        input.type === "message"
          ? { type: "send", text: input.text }
          : this.command(input.name, input.argument);
      if (next.type === "quit") return exitCodes.ok;
      if (next.type === "send") await this.send(next.text, source);
      if (next.type === "save" || next.type === "load") await this.saveOrLoad(next.type, next.path);
    }
  }

  private command(name: string, argument: string): Next {
    try {
      return runChatCommand(this.chat, name, argument);
    } catch (error) {
      this.fail(error);
      return { type: "prompt" };
    }
  }

  private async saveOrLoad(type: "save" | "load", path: string): Promise<void> {
    this.running = new AbortController();
    try {
      if (type === "save") await saveChat(this.chat, path);
      else await loadChat(this.chat, path, this.running.signal);
    } catch (error) {
      this.fail(error);
    } finally {
      this.running = undefined;
    }
  }

  private async send(text: string, source: LineSource): Promise<void> {
    const { chat } = this;
    const { session, terminal } = chat;
    chat.lastMessage = text;
    chat.lastAnswered = false;
    this.running = new AbortController();
    const { signal } = this.running;
    // Between two answers the line is the next message's.
    if (this.options.interactive) chat.tools?.askOn(source, terminal, this.interrupt);
    try {
      const { json, verbose } = this.options;
      const context = () => contextStatus(session.contextUsed, session.contextLength);
      const run = session.send(text, { ...chat.options, ...chat.tools?.use(), signal });
      const result = await showAnswer(run, terminal, { json, verbose, context });
      chat.lastAnswered = true;
      chat.lastResult = result;
      await this.keeper?.keep(session);
      const full = session.contextUsed + 1 >= session.contextLength;
      if (result.finishReason === "length") {
        terminal.notice(
          full
            ? "The answer ends here because the context is full: /drop N forgets the N oldest turns."
            : `The answer ends here after ${result.usage.completion} tokens (maxTokens).`,
        );
      }
      tellForm(result, terminal);
      if (this.options.interactive) {
        terminal.footer(contextStatus(session.contextUsed, session.contextLength, result));
      }
    } catch (error) {
      if (isAbort(error) && this.options.interactive) {
        terminal.notice("Stopped. The message and this answer are not kept; /retry asks again.");
      } else if (error instanceof ContextOverflowError) {
        this.fail(error, fullContextAdvice(error, session));
      } else {
        this.fail(error);
      }
    } finally {
      this.running = undefined;
      chat.tools?.askNobody();
    }
  }

  /** Tells an error and goes on, where somebody can do something about it. */
  private fail(error: unknown, advice?: string): void {
    const { terminal } = this.chat;
    if (!this.options.interactive) throw error;
    if (advice !== undefined && !this.options.json) terminal.warn(advice);
    else reportFailure(error, terminal, this.options);
  }
}
