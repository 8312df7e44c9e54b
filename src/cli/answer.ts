/** Shows one run as it goes: text on stdout, thinking and prefill progress on stderr; or every event as a JSON line. */
import type { Generation, Result } from "../index.ts";
import { formatSpeed, formatTokens } from "./quantities.ts";
import { prefillStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";
import { callLine, progressStatus, showRun } from "./tool-lines.ts";

export interface ShowOptions {
  /** One JSON line an event. */
  readonly json?: boolean | undefined;
  /** A line with all the numbers after the answer. */
  readonly verbose?: boolean | undefined;
  /** What stands before the prefill's percentage: the context used so far. */
  readonly context?: (() => string) | undefined;
}

/** @throws what the run throws: AbortError on Ctrl-C, after the line has been ended. */
export async function showAnswer(
  generation: Generation,
  terminal: Terminal,
  { json, verbose, context }: ShowOptions = {},
): Promise<Result> {
  try {
    for await (const event of generation.events()) {
      if (event.type === "prefill" && event.done < event.total) {
        const before = context ? `${context()} · ` : "";
        terminal.status.show(before + prefillStatus(event.done, event.total));
      }
      if (json) terminal.json(event);
      else if (event.type === "thinking") terminal.thinking(event.delta);
      else if (event.type === "text") terminal.answer(event.delta);
      else if (event.type === "call") terminal.notice(callLine(event.call));
      else if (event.type === "tool-result") showRun(event.run, terminal, Boolean(verbose));
      else if (event.type === "tool-progress")
        terminal.status.show(progressStatus(event.call, event.progress));
    }
    const result = await generation;
    terminal.endAnswer();
    if (verbose) terminal.notice(statsLine(result));
    return result;
  } finally {
    terminal.status.clear();
    terminal.endAnswer();
  }
}

/** "ctx 3.1K/32K · 41 tok/s": what stands below an answer on a terminal. */
export function contextStatus(used: number, total: number, result?: Result): string {
  const speed = result ? formatSpeed(result.stats.decodeTps) : "";
  return [`ctx ${formatTokens(used)}/${formatTokens(total)}`, speed].filter(Boolean).join(" · ");
}

/** Everything that was counted and measured, on one line. */
export function statsLine({ usage, stats, finishReason, seed }: Result): string {
  const parts = [
    `prompt ${usage.prompt} tokens (${usage.cached} cached)`,
    `answer ${usage.completion}`,
    `first token ${stats.ttftMs.toFixed(0)} ms`,
    stats.prefillTps > 0 ? `prefill ${formatSpeed(stats.prefillTps)}` : "",
    stats.decodeTps > 0 ? `decode ${formatSpeed(stats.decodeTps)}` : "",
    `ended by ${finishReason}`,
    `seed ${seed}`,
  ];
  return parts.filter(Boolean).join(" · ");
}
