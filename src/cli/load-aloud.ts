/** Loads a model for a command, with progress on the status line and what is worth knowing as notices. */
import { type LoadOptions, loadModel, type Model } from "../index.ts";
import { nanoNotice, nanoPath } from "./default-model.ts";
import { formatBytes, formatDuration, formatTokens } from "./quantities.ts";
import type { Terminal } from "./terminal.ts";

export interface LoadAloudOptions extends LoadOptions {
  readonly verbose?: boolean | undefined;
}

/** @param reference a path or name, or undefined for the package's own nano. */
export async function loadAloud(
  reference: string | undefined,
  { verbose, ...options }: LoadAloudOptions,
  terminal: Terminal,
): Promise<Model> {
  if (reference === undefined) terminal.notice(nanoNotice);
  try {
    const model = await loadModel(reference ?? nanoPath, {
      ...options,
      onProgress: ({ phase, done, total }) => {
        const percent = total > 0 ? Math.floor((100 * done) / total) : 0;
        terminal.status.show(phase === "load" ? `loading ${percent} % of ${formatBytes(total)}` : "opening");
      },
    });
    terminal.status.clear();
    announce(model, options, Boolean(verbose), terminal);
    return model;
  } finally {
    terminal.status.clear();
  }
}

function announce({ info }: Model, options: LoadOptions, verbose: boolean, terminal: Terminal): void {
  for (const notice of info.notices) terminal.notice(notice);
  const chosen = options.contextLength === undefined || options.contextLength === "auto";
  if (chosen && info.contextLength < info.maxContextLength) terminal.notice(info.contextReason);
  if (verbose) {
    terminal.notice(
      `${info.name}: ${info.architecture} on ${info.device} (${info.isa}), ${info.threads} threads, ` +
        `KV ${info.kvType}, context ${formatTokens(info.contextLength)}, ` +
        `${formatBytes(info.memory.total)}, loaded in ${formatDuration(info.loadMs)}`,
    );
  }
}
