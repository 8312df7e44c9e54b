/**
 * Where the CLI prints: answers on stdout, everything else on stderr. Colour only where the stream is a terminal and
 * NO_COLOR is not set.
 */
import pc from "picocolors";
import { printable } from "./printable.ts";
import { StatusLine, type StatusStream } from "./status-line.ts";

type Style = ReturnType<typeof pc.createColors>;

export interface TerminalStreams {
  readonly stdout: StatusStream;
  readonly stderr: StatusStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export class Terminal {
  /** `--quiet`: notices and thinking are dropped, warnings and errors are not. */
  quiet = false;
  /** `--json`: what goes to stderr is JSON too, one object a line. */
  jsonLines = false;
  /** Colours of stderr. */
  readonly style: Style;
  /** Colours of stdout. */
  readonly answerStyle: Style;
  readonly status: StatusLine;
  /** The stream whose last line has not ended. */
  private midLine: StatusStream | undefined;

  constructor(private readonly streams: TerminalStreams = process) {
    this.answerStyle = pc.createColors(colourful(streams.stdout, streams.env));
    this.style = pc.createColors(colourful(streams.stderr, streams.env));
    this.status = new StatusLine(streams.stderr, this.style.dim);
  }

  /** Model text to stdout as it comes: byte for byte into a pipe, without control characters on a terminal. */
  answer(text: string): void {
    this.stream(this.streams.stdout, text);
  }

  /** What the model thinks before it answers: dimmed, on stderr, since it is no part of the answer. */
  thinking(text: string): void {
    if (!this.quiet) this.stream(this.streams.stderr, text, this.style.dim);
  }

  /** Ends the line of an answer whose text did not. */
  endAnswer(): void {
    this.midLine?.write("\n");
    this.midLine = undefined;
  }

  /** A line of a command's result on stdout; the caller has escaped what came from files. */
  line(text = ""): void {
    this.status.clear();
    this.streams.stdout.write(`${text}\n`);
  }

  /** One JSON value on one line of stdout; typed arrays become arrays. */
  json(value: unknown): void {
    this.line(JSON.stringify(value, jsonValue));
  }

  /** A line on stderr that a user may want to know; gone with `--quiet`. */
  notice(text: string): void {
    if (!this.quiet) this.say(text);
  }

  /** A line on stderr that was asked for. */
  say(text: string): void {
    this.message(this.jsonLines ? JSON.stringify({ notice: text }) : this.style.dim(printable(text)));
  }

  /** A notice for a terminal only: the numbers below an answer. */
  footer(text: string): void {
    if (this.streams.stderr.isTTY) this.notice(text);
  }

  /** A line on stderr about something that goes wrong and ends nothing; with `--quiet` too. */
  warn(text: string): void {
    this.message(this.jsonLines ? JSON.stringify({ warning: text }) : this.style.yellow(printable(text)));
  }

  /** A line on stderr that always appears. */
  message(text: string): void {
    this.status.clear();
    this.endAnswer();
    this.streams.stderr.write(`${text}\n`);
  }

  private stream(to: StatusStream, text: string, style: (text: string) => string = String): void {
    if (text === "") return;
    this.status.clear();
    if (this.midLine && this.midLine !== to) this.endAnswer();
    to.write(style(to.isTTY ? printable(text) : text));
    this.midLine = text.endsWith("\n") ? undefined : to;
  }
}

function colourful(stream: StatusStream, env: TerminalStreams["env"]): boolean {
  return Boolean(stream.isTTY) && !env.NO_COLOR && env.TERM !== "dumb";
}

function jsonValue(_key: string, value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>);
  return typeof value === "bigint" ? value.toString() : value;
}
