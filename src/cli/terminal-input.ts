/**
 * Stands between a raw terminal and readline. It hands over keys up to one Enter and then waits until the next line is
 * asked for, so that what is typed during an answer appears at the next prompt; it sees Ctrl-C during the answer; and
 * it takes pasted text (bracketed paste: xterm's ESC[200~ ... ESC[201~) as text, not as keys.
 */

import { PassThrough } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { ReadStream } from "node:tty";

const pasteStart = "\x1b[200~";
const pasteEnd = "\x1b[201~";
const controlC = "\x03";

export const enablePaste = "\x1b[?2004h";
export const disablePaste = "\x1b[?2004l";

export interface TerminalInputOptions {
  /** What readline gets in place of pasted text. */
  readonly onPaste: (text: string) => string;
  /** Ctrl-C while no line is being read. */
  readonly onInterrupt: () => void;
}

export class TerminalInput extends PassThrough {
  private readonly decoder = new StringDecoder("utf8");
  private readonly options: TerminalInputOptions;
  private readonly source: ReadStream;
  /** Input that nobody has asked for yet. */
  private waiting = "";
  /** Text of a paste whose end has not come. */
  private paste: string | undefined;
  private open = false;

  constructor(source: ReadStream, options: TerminalInputOptions) {
    super({ encoding: "utf8" });
    this.source = source;
    this.options = options;
    source.on("data", this.receive);
    source.once("end", this.finish);
    source.resume(); // another reader before this one may have paused it
  }

  /** Lets one line through. */
  openLine(): void {
    this.open = true;
    this.forward();
  }

  /** No more keys to readline until the next `openLine`. */
  closeLine(): void {
    this.open = false;
  }

  /** readline switches the terminal through its input. */
  setRawMode(raw: boolean): this {
    this.source.setRawMode?.(raw);
    return this;
  }

  detach(): void {
    this.source.off("data", this.receive);
    this.source.off("end", this.finish);
    this.source.pause();
  }

  private readonly receive = (chunk: Buffer | string): void => {
    this.waiting += typeof chunk === "string" ? chunk : this.decoder.write(chunk);
    if (!this.open) {
      // As a terminal does, Ctrl-C also forgets what was typed before it.
      const interrupt = this.waiting.lastIndexOf(controlC);
      if (interrupt < 0) return;
      this.waiting = this.waiting.slice(interrupt + 1);
      this.options.onInterrupt();
    } else {
      this.forward();
    }
  };

  private readonly finish = (): void => {
    this.end();
  };

  private forward(): void {
    while (this.open && this.waiting !== "") {
      const moved = this.paste === undefined ? this.forwardKeys() : this.forwardPaste(this.paste);
      if (!moved) return;
    }
  }

  private forwardKeys(): boolean {
    const paste = this.waiting.indexOf(pasteStart);
    const enter = this.waiting.search(/[\r\n]/);
    if (enter >= 0 && (paste < 0 || enter < paste)) {
      this.write(this.waiting.slice(0, enter + 1));
      this.waiting = this.waiting.slice(enter + (this.waiting.startsWith("\r\n", enter) ? 2 : 1));
      this.open = false;
      return true;
    }
    if (paste >= 0) {
      if (paste > 0) this.write(this.waiting.slice(0, paste));
      this.waiting = this.waiting.slice(paste + pasteStart.length);
      this.paste = "";
      return true;
    }
    const keys = this.waiting.length - endLikeStartOf(pasteStart, this.waiting);
    if (keys > 0) this.write(this.waiting.slice(0, keys));
    this.waiting = this.waiting.slice(keys);
    return false;
  }

  private forwardPaste(before: string): boolean {
    const end = this.waiting.indexOf(pasteEnd);
    if (end >= 0) {
      const line = this.options.onPaste(before + this.waiting.slice(0, end));
      if (line !== "") this.write(line);
      this.waiting = this.waiting.slice(end + pasteEnd.length);
      this.paste = undefined;
      return true;
    }
    const sure = this.waiting.length - endLikeStartOf(pasteEnd, this.waiting);
    this.paste = before + this.waiting.slice(0, sure);
    this.waiting = this.waiting.slice(sure);
    return false;
  }
}

/** How many characters at the end of `text` may be the beginning of `mark`, cut by the end of a read. */
function endLikeStartOf(mark: string, text: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(mark.slice(0, length))) return length;
  }
  return 0;
}
