/** Where a chat's lines come from: the line editor on a terminal, the lines of a pipe or file elsewhere. */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export type Line =
  /** `typed` has labels where `text` has what was pasted: a fence or a slash counts only where it was typed. */
  | { readonly type: "line"; readonly text: string; readonly typed: string }
  /** Ctrl-C at the prompt; `empty` when there was nothing on the line. */
  | { readonly type: "interrupt"; readonly empty: boolean }
  /** Ctrl-D, or the end of the input. */
  | { readonly type: "end" };

export interface LineSource {
  /** The next line, without its line end. */
  read(prompt: string): Promise<Line>;
  /** Takes a whole message into the history. */
  remember(message: string): void;
  close(): void;
}

/** Lines of a stream that is no terminal: no prompt, no history. */
export class PipedLines implements LineSource {
  private readonly reader;
  private readonly lines;

  constructor(input: Readable) {
    this.reader = createInterface({ input, terminal: false, crlfDelay: Number.POSITIVE_INFINITY });
    this.lines = this.reader[Symbol.asyncIterator]();
  }

  async read(): Promise<Line> {
    const { done, value } = await this.lines.next();
    return done ? { type: "end" } : { type: "line", text: value, typed: value };
  }

  remember(): void {}

  close(): void {
    this.reader.close();
  }
}
