/** `minicpm cache`: what lies in the folder of keys and values, and how it goes away. */
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { addOutputOptions, applyOutputOptions, type OutputOptions } from "./command-options.ts";
import { cacheFolder } from "./folders.ts";
import { formatBytes, plural } from "./quantities.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** What is kept for one model with one set of settings. */
interface Kept {
  readonly fingerprint: string;
  readonly blocks: number;
  readonly tokens: number;
  readonly bytes: number;
  /** ISO 8601. */
  readonly lastUsed: string;
}

const blockTokens = 64;

export function addCacheCommand(program: Command, terminal: Terminal): void {
  const cache = program
    .command("cache")
    .summary("show or clear what was kept of prompts")
    .description("Show or clear the keys and values that `chat` and `read` have kept on disk.");
  const list = cache.command("ls").description("What is kept, by model and settings.");
  addOutputOptions(list, "one JSON object: folder, bytes, models").action((options: OutputOptions) => {
    applyOutputOptions(terminal, options);
    const folder = cacheFolder();
    const models = keptIn(folder);
    const bytes = models.reduce((sum, kept) => sum + kept.bytes, 0);
    if (options.json) return terminal.json({ folder, bytes, models });
    const rows = models.map((kept) => [
      kept.fingerprint,
      String(kept.tokens),
      formatBytes(kept.bytes),
      kept.lastUsed.slice(0, 16).replace("T", " "),
    ]);
    const table = [["model and settings", "tokens", "size", "last used (UTC)"], ...rows];
    for (const line of rows.length > 0 ? tableLines(table, ["left", "right", "right"]) : []) {
      terminal.line(line);
    }
    terminal.notice(`${formatBytes(bytes)} in ${folder}`);
  });
  const clear = cache.command("clear").description("Remove all of it; running programs go on.");
  addOutputOptions(clear, "one JSON object: folder, blocks, bytes").action((options: OutputOptions) => {
    applyOutputOptions(terminal, options);
    const folder = cacheFolder();
    const models = keptIn(folder);
    const blocks = models.reduce((sum, kept) => sum + kept.blocks, 0);
    const bytes = models.reduce((sum, kept) => sum + kept.bytes, 0);
    for (const name of foldersIn(folder)) rmSync(join(folder, name), { recursive: true, force: true });
    if (options.json) terminal.json({ folder, blocks, bytes });
    else terminal.line(`Removed ${plural(blocks, "block")}, ${formatBytes(bytes)}.`);
  });
}

/** What is kept by model and settings; those that keep nothing left out. */
function keptIn(folder: string): Kept[] {
  const all = foldersIn(folder).map((fingerprint) => {
    let [blocks, bytes, lastUsed] = [0, 0, 0];
    for (const name of readdirSync(join(folder, fingerprint))) {
      const status = statSync(join(folder, fingerprint, name), { throwIfNoEntry: false });
      if (!status || !name.endsWith(".kv")) continue;
      blocks++;
      bytes += status.size;
      lastUsed = Math.max(lastUsed, status.mtimeMs);
    }
    const tokens = blocks * blockTokens;
    return { fingerprint, blocks, tokens, bytes, lastUsed: new Date(lastUsed).toISOString() };
  });
  return all.filter(({ blocks }) => blocks > 0);
}

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
