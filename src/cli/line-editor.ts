/** Reads lines from a terminal: node's readline with a history of whole messages, paste, and Ctrl-C at any time. */
import { createInterface, type Interface } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";
import type { History } from "./history.ts";
import type { Line, LineSource } from "./line-source.ts";
import { PastedText, pastedLines } from "./pasted-text.ts";
import { disablePaste, enablePaste, TerminalInput } from "./terminal-input.ts";

export interface LineEditorOptions {
  readonly input: ReadStream;
  /** Where the prompt and the keys are shown; stderr, since stdout is for answers. */
  readonly output: WriteStream;
  readonly history: History;
  /** Lines that may be meant by the beginning of one, for Tab. */
  readonly complete: (line: string) => readonly string[];
  /** Ctrl-C while no line is being read. */
  readonly onInterrupt: () => void;
}

export class LineEditor implements LineSource {
  private readonly reader: Interface;
  private readonly keys: TerminalInput;
  private readonly pasted = new PastedText();
  private waiting: ((line: Line) => void) | undefined;
  private ended = false;
  /** readline's own list, latest first; it hands it out with its "history" event. */
  private recalled: string[];

  constructor(private readonly options: LineEditorOptions) {
    this.keys = new TerminalInput(options.input, {
      onPaste: (text) => this.pasted.inline(pastedLines(text), "pasted"),
      onInterrupt: options.onInterrupt,
    });
    this.recalled = this.recallList();
    this.reader = createInterface({
      input: this.keys,
      output: options.output,
      terminal: true,
      history: this.recalled,
      historySize: 1000,
      completer: (line: string) => [options.complete(line), line],
    });
    this.reader.on("line", (typed) => this.deliver({ type: "line", typed, text: this.pasted.expand(typed) }));
    this.reader.on("SIGINT", this.interrupt);
    this.reader.on("close", () => {
      this.ended = true;
      if (this.waiting) options.output.write("\n"); // Ctrl-D has left the prompt's line open
      this.deliver({ type: "end" });
    });
    // readline adds every line by itself; the history is ours, of messages.
    this.reader.on("history", (list: string[]) => {
      this.recalled = list;
      this.refreshRecalled();
    });
    if (process.env.TERM !== "dumb") options.output.write(enablePaste);
    process.once("exit", this.restoreTerminal);
  }

  read(prompt: string): Promise<Line> {
    if (this.ended) return Promise.resolve({ type: "end" });
    return new Promise((resolve) => {
      this.waiting = resolve;
      this.reader.setPrompt(prompt);
      this.reader.prompt();
      this.keys.openLine();
    });
  }

  remember(message: string): void {
    this.options.history.add(message);
    this.refreshRecalled();
  }

  /** Gives the terminal back as it was. */
  close(): void {
    process.off("exit", this.restoreTerminal);
    this.restoreTerminal();
    this.keys.detach();
    this.reader.close();
  }

  private readonly restoreTerminal = (): void => {
    if (process.env.TERM !== "dumb") this.options.output.write(disablePaste);
  };

  private readonly interrupt = (): void => {
    const empty = this.reader.line === "";
    this.reader.write(null, { ctrl: true, name: "e" });
    this.reader.write(null, { ctrl: true, name: "u" });
    this.options.output.write("^C\n");
    this.keys.closeLine();
    this.deliver({ type: "interrupt", empty });
  };

  private deliver(line: Line): void {
    const resolve = this.waiting;
    this.waiting = undefined;
    resolve?.(line);
  }

  private refreshRecalled(): void {
    this.recalled.splice(0, this.recalled.length, ...this.recallList());
  }

  private recallList(): string[] {
    return this.options.history.latestFirst().map((message) => this.pasted.inline(message, "message"));
  }
}
