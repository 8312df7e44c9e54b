/** `minicpm read`: reads documents ahead of time, so that `chat --with` answers at once. */
import type { Command } from "commander";
import {
  addLoadOptions,
  addOutputOptions,
  applyOutputOptions,
  type LoadFlags,
  loadOptions,
  type OutputOptions,
} from "./command-options.ts";
import { defaultModelHelp, modelHelp } from "./default-model.ts";
import { withDocuments } from "./documents.ts";
import { cacheFolder } from "./folders.ts";
import { interruptible } from "./interrupt.ts";
import { loadAloud } from "./load-aloud.ts";
import { formatTokens, plural } from "./quantities.ts";
import type { Terminal } from "./terminal.ts";

interface ReadFlags extends OutputOptions, LoadFlags {
  readonly model?: string;
}

export function addReadCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("read")
    .summary("read documents ahead of time")
    .description(
      "Read documents ahead of time: `minicpm chat MODEL --with FILE...` with the same files in the same order then " +
        "answers at once. Their keys and values are kept in the cache folder (`minicpm cache ls`).",
    )
    .argument("<file...>", "UTF-8 texts")
    .option("-m, --model <model>", `${modelHelp} (${defaultModelHelp})`);
  addOutputOptions(command, "one JSON object: files, tokens, cached, folder");
  addLoadOptions(command);
  command.action(async (files: string[], options: ReadFlags) => {
    applyOutputOptions(terminal, options);
    const content = withDocuments(files) ?? "";
    await interruptible(async (signal) => {
      const load = { ...loadOptions(options), cacheDir: cacheFolder(), verbose: options.verbose, signal };
      await using model = await loadAloud(options.model, load, terminal);
      const { total, cached } = await model.read([{ role: "system", content }], {
        onProgress: ({ done, total }) => terminal.status.show(readingStatus(done, total)),
        signal,
      });
      terminal.status.clear();
      const folder = model.cacheStatus()?.folder;
      if (options.json) terminal.json({ files, tokens: total, cached, folder });
      else terminal.line(`Read ${plural(files.length, "file")}: ${total} tokens, ${cached} of them before.`);
    }).finally(() => terminal.status.clear());
  });
}

/** "reading [######      ] 50 % of 12K tokens" */
export function readingStatus(done: number, total: number): string {
  const cells = 20;
  const share = total > 0 ? done / total : 1;
  const bar = "#".repeat(Math.floor(share * cells)).padEnd(cells);
  return `reading [${bar}] ${Math.floor(share * 100)} % of ${formatTokens(total)} tokens`;
}
