/** Loads a model for a command, with progress on the status line and what is worth knowing as notices. */
import { type LoadOptions, loadModel, type Model, type ModelInfo } from "../index.ts";
import { chosenModel } from "./default-model.ts";
import { keepLastModel } from "./last-model.ts";
import { formatBytes, formatDuration, formatTokens } from "./quantities.ts";
import { bytesStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

export interface LoadAloudOptions extends LoadOptions {
  readonly verbose?: boolean | undefined;
  /** The model becomes the one used last. Default true. */
  readonly keep?: boolean | undefined;
}

/** @param reference a path or name, or undefined for the default model. */
export async function loadAloud(
  reference: string | undefined,
  { verbose, keep = true, ...options }: LoadAloudOptions,
  terminal: Terminal,
): Promise<Model> {
  const choice = await chosenModel(reference, terminal);
  try {
    const model = await loadModel(choice.path, {
      ...options,
      onProgress: ({ phase, done, total }) => {
        terminal.status.show(phase === "load" ? bytesStatus("loading", done, total) : "opening");
      },
    });
    terminal.status.clear();
    if (keep && choice.keep) keepLastModel(model.info.path);
    for (const notice of loadNotices(model.info, options)) terminal.notice(notice);
    if (verbose) terminal.notice(modelLine(model.info));
    return model;
  } finally {
    terminal.status.clear();
  }
}

/** What is worth knowing of a loaded model: how it runs, and a context that nobody asked to be smaller. */
export function loadNotices(info: ModelInfo, { contextLength = "auto" }: LoadOptions): readonly string[] {
  const smaller = contextLength === "auto" && info.contextLength < info.maxContextLength;
  return smaller ? [...info.notices, info.contextReason] : info.notices;
}

function modelLine(info: ModelInfo): string {
  const packed = info.pack
    ? `${info.pack.format} in groups of ${info.pack.group}, activations ${info.activations}, `
    : "";
  const threads = info.device.startsWith("cuda") ? "" : `${info.threads} threads, `;
  return (
    `${info.name}: ${info.architecture} on ${info.device} (${info.isa}), ${threads}${packed}` +
    `KV ${info.kvType}, context ${formatTokens(info.contextLength)}, ` +
    `${formatBytes(info.memory.total)}, loaded in ${formatDuration(info.loadMs)}`
  );
}
