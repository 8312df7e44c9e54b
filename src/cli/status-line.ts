/** The one line on stderr that comes and goes: loading, prefill, context used. Nothing is written off a terminal. */
import { fitWidth } from "./display-width.ts";
import { formatBytes } from "./quantities.ts";

export interface StatusStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export class StatusLine {
  private shown = "";

  constructor(
    private readonly stream: StatusStream,
    private readonly style: (text: string) => string = String,
  ) {}

  /** Replaces the line; it is cut to the terminal's width so that it never wraps. */
  show(text: string): void {
    if (!this.stream.isTTY) return;
    const line = fitWidth(text, (this.stream.columns || 80) - 1);
    if (line === this.shown) return;
    this.stream.write(`\r\x1b[K${this.style(line)}`);
    this.shown = line;
  }

  /** Takes the line away; call before anything else is written to the terminal. */
  clear(): void {
    if (this.shown === "") return;
    this.stream.write("\r\x1b[K");
    this.shown = "";
  }
}

/** "loading 62 % of 9.6 MiB"; `done` of `total` bytes. */
export function bytesStatus(what: string, done: number, total: number): string {
  const percent = total > 0 ? Math.floor((100 * done) / total) : 0;
  return `${what} ${percent} % of ${formatBytes(total)}`;
}

/** "prefill 62 %" with its numbers; `done` of `total` tokens. */
export function prefillStatus(done: number, total: number): string {
  const percent = total > 0 ? Math.floor((100 * done) / total) : 100;
  return `prefill ${percent} % of ${total} tokens`;
}
