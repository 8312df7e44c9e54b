/** What a failed command prints and how it exits: 0 done, 1 error, 2 usage, 128 + n by signal n (130 by Ctrl-C). */
import { CommanderError } from "commander";
import { AbortError, MiniCpmError, OptionError } from "../index.ts";
import { printable } from "./printable.ts";
import type { Terminal } from "./terminal.ts";

export const exitCodes = {
  ok: 0,
  error: 1,
  usage: 2,
  interrupted: 130,
  hungUp: 129,
  terminated: 143,
} as const;

/** The command line asks for something that cannot be; the sentence says what and how. */
export class UsageError extends Error {}

/** The command has printed its result, and the result is bad news: `doctor` found a problem. */
export class QuietFailure extends Error {}

export interface FailureStyle {
  /** One JSON object on stderr instead of a sentence. */
  readonly json: boolean;
  /** The stack too. */
  readonly verbose: boolean;
}

/** Tells a failure on stderr. @returns the exit code. */
export function reportFailure(error: unknown, terminal: Terminal, { json, verbose }: FailureStyle): number {
  if (error instanceof QuietFailure) return exitCodes.error;
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok; // --help, --version
  if (isAbort(error)) {
    if (json) terminal.message(errorLine("ABORTED", "Interrupted."));
    return exitCodes.interrupted;
  }
  const { code, sentence, exit } = described(error);
  if (json) {
    terminal.message(errorLine(code, sentence));
  } else if (sentence !== "") {
    terminal.message(`${terminal.style.red("error:")} ${printable(sentence)}`);
  }
  if (verbose && error instanceof Error && error.stack) terminal.message(terminal.style.dim(error.stack));
  return exit;
}

export function isAbort(error: unknown): boolean {
  return error instanceof AbortError || (error instanceof Error && error.name === "AbortError");
}

/** The stable shape of an error in `--json` mode. */
function errorLine(code: string, message: string): string {
  return JSON.stringify({ error: { code, message } });
}

function described(error: unknown): { code: string; sentence: string; exit: number } {
  if (error instanceof CommanderError) {
    return { code: "USAGE", sentence: commanderSentence(error), exit: exitCodes.usage };
  }
  if (error instanceof UsageError) {
    return { code: "USAGE", sentence: error.message, exit: exitCodes.usage };
  }
  if (error instanceof MiniCpmError) {
    const exit = error instanceof OptionError ? exitCodes.usage : exitCodes.error;
    return { code: error.code, sentence: error.message, exit };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: systemCode(error) ?? "INTERNAL", sentence: message, exit: exitCodes.error };
}

/** ENOENT, EACCES and the like. */
function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** "error: unknown option '--temprature'\n(Did you mean --temperature?)" without its own "error:". */
function commanderSentence({ code, message }: CommanderError): string {
  if (code === "commander.help") return ""; // no command was given; help has been shown
  return message.replace(/^error: /, "").replace(/\n/g, " ");
}
