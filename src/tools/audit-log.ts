/** What was called, when, by whose leave and with what outcome: a line of JSON a call. */
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { ToolRun } from "./make-call.ts";
import { masked } from "./mcp-config.ts";

const keptCharacters = 1000;

export class AuditLog {
  /** Why the last line could not be written. */
  problem: string | undefined;

  /**
   * @param file readable by its owner only
   * @param secrets never stand in it
   */
  constructor(
    private readonly file: string,
    private readonly secrets: readonly string[],
  ) {}

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
    // A secret may hold what JSON writes in other characters.
    const spelled = this.secrets.map((secret) => JSON.stringify(secret).slice(1, -1));
    try {
      mkdirSync(dirname(this.file), { recursive: true, mode: 0o700 });
      appendFileSync(this.file, `${masked(line, [...this.secrets, ...spelled])}\n`, { mode: 0o600 });
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
  };
}
