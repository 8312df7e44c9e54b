/** Calls and what they gave, a line each: what is longer is folded, unless all of it is asked for. */
import type { Tool, ToolCall, ToolProgress, ToolRun } from "../index.ts";
import { fitWidth } from "./display-width.ts";
import { printable } from "./printable.ts";
import { formatDuration } from "./quantities.ts";
import type { Terminal } from "./terminal.ts";

const foldedWidth = 100;

/** `call: get_weather {"city":"Paris"}` */
export function callLine({ name, arguments: given }: ToolCall): string {
  return `call: ${name} ${JSON.stringify(given)}`;
}

/** `get_weather 3/10 reading`: how far a call has come. */
export function progressStatus(
  { name }: Pick<ToolCall, "name">,
  { done, total, message = "" }: ToolProgress,
): string {
  const share = total === undefined ? `${done}` : `${done}/${total}`;
  return printable(`${name} ${share} ${message}`.trim());
}

/** `result: get_weather 12 ms: Rain.`; red where it failed, whole with `verbose`. */
export function showRun(run: ToolRun, terminal: Terminal, verbose: boolean): void {
  if (terminal.quiet && (run.outcome === "done" || run.outcome === "dry")) return;
  const { red, yellow, dim } = terminal.style;
  const styles = { done: dim, dry: dim, refused: yellow, error: red, invalid: red };
  terminal.message(styles[run.outcome](printable(runLine(run, verbose))));
}

export function runLine({ call, outcome, text, durationMs }: ToolRun, verbose: boolean): string {
  const words = {
    done: "result",
    dry: "dry run",
    refused: "refused",
    error: "failed",
    invalid: "wrong call",
  };
  const head = `${words[outcome]}: ${call.name}${durationMs > 0 ? ` ${formatDuration(durationMs)}` : ""}: `;
  if (verbose) return head + text;
  const told = text
    .replace(/^(Error|Not called): /, "")
    .replace(/\s+/g, " ")
    .trim();
  const shown = fitWidth(told, foldedWidth);
  return head + shown + (shown === told ? "" : ` (${text.length} characters)`);
}

/** What somebody is asked before a call. */
export function approvalQuestion({ name, arguments: given }: ToolCall, { server, readOnly }: Tool): string {
  const whose = server === undefined ? "" : ` of ${server}`;
  const harmless = readOnly ? ", which says that it changes nothing" : "";
  return `Call ${name}${whose}${harmless}, with ${JSON.stringify(given)}? [y]es, [n]o, [a]lways: `;
}
