/** Messages typed in earlier chats, one JSON string a line, in the user's state folder. */
import { appendFileSync, chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { stateFile } from "./folders.ts";

const longest = 1000;

/** `$XDG_STATE_HOME/minicpm/history`, by default under `~/.local/state` (XDG base directory specification). */
export function historyPath(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return stateFile("history", env);
}

export class History {
  /** Latest last. */
  private readonly messages: string[] = [];

  private constructor(private readonly path: string | undefined) {}

  /** Only in memory: `--no-history`. */
  static forgetful(): History {
    return new History(undefined);
  }

  /**
   * Reads the file, if there is one, and adds to it from now on. The file is for its owner's eyes (0600), its folder
   * too (0700). Lines that are not JSON strings, such as half of one, are passed over.
   */
  static open(path: string): History {
    const history = new History(path);
    const lines = readLines(path);
    for (const line of lines) {
      const message = jsonString(line);
      if (message !== undefined) history.messages.push(message);
    }
    history.messages.splice(0, history.messages.length - longest);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (lines.length > 2 * longest) history.rewrite(path);
    return history;
  }

  /** Latest first, each once. */
  latestFirst(): string[] {
    return [...new Set(this.messages.slice().reverse())];
  }

  add(message: string): void {
    if (message.trim() === "" || this.messages.at(-1) === message) return;
    this.messages.push(message);
    if (this.path === undefined) return;
    appendFileSync(this.path, `${JSON.stringify(message)}\n`, { mode: 0o600 });
    chmodSync(this.path, 0o600);
  }

  private rewrite(path: string): void {
    const text = this.messages.map((message) => `${JSON.stringify(message)}\n`).join("");
    const beside = `${path}.${process.pid}`;
    writeFileSync(beside, text, { mode: 0o600 });
    renameSync(beside, path);
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function jsonString(line: string): string | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
