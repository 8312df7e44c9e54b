/** What was called, when, by whose leave and with what outcome: a line of JSON a call. */
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { ToolRun } from "./make-call.ts";
import { masked } from "./mcp-config.ts";

const keptCharacters = 1000;

export interface AuditLogOptions {
  /** Readable by its owner only. */
  readonly file: string;
  /** They never stand in it. */
  readonly secrets: readonly string[];
  /** Told why a line could not be written, once: calls go on without. */
  readonly onProblem: (problem: string) => void;
}

export class AuditLog {
  #told = false;

  constructor(private readonly options: AuditLogOptions) {}

  readonly add = ({ call, server, outcome, durationMs, text }: ToolRun): void => {
    const line = JSON.stringify({
      time: new Date().toISOString(),
      ...(server !== undefined && { server }),
      tool: call.name,
      arguments: call.arguments,
      outcome,
      durationMs: Math.round(durationMs),
      text: text.slice(0, keptCharacters),
      characters: text.length,
    });
    const { file, secrets, onProblem } = this.options;
    // A secret may hold what JSON writes in other characters.
    const spelled = secrets.map((secret) => JSON.stringify(secret).slice(1, -1));
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      appendFileSync(file, `${masked(line, [...secrets, ...spelled])}\n`, { mode: 0o600 });
    } catch (error) {
      if (!this.#told) onProblem(error instanceof Error ? error.message : String(error));
      this.#told = true;
    }
  };
}
