/**
 * The model of a command that names none: the one used last; else the only one in $MINICPM_MODELS and the Hugging Face
 * cache; of several the one that the user chooses; without any the package's own nano.
 */
import { join } from "node:path";
import type { ReadStream, WriteStream } from "node:tty";
import { AbortError } from "../index.ts";
import { findModel, packageModels } from "../model/find-model.ts";
import { UsageError } from "./failure.ts";
import { History } from "./history.ts";
import { lastModel } from "./last-model.ts";
import { LineEditor } from "./line-editor.ts";
import { type FoundModel, ownModelsFound } from "./models-found.ts";
import { printable } from "./printable.ts";
import type { Terminal } from "./terminal.ts";

/** What --help says of a MODEL. */
export const modelHelp =
  "a folder, a .gguf file, a name in models/ or $MINICPM_MODELS, or ORG/NAME in the Hugging Face cache";
export const defaultModelHelp =
  "default: the one used last, else the only one found, else the nano that comes with this";

const nanoPath = join(packageModels, "nano");
const nanoNotice =
  "nano: a 5 M parameter model trained for this package, good for small talk and many mistakes. For a real one, " +
  "fetch openbmb/MiniCPM4-0.5B from Hugging Face (hf download openbmb/MiniCPM4-0.5B, or its files into a folder) and " +
  "run: minicpm chat openbmb/MiniCPM4-0.5B (or minicpm chat PATH)";

export interface ModelChoice {
  readonly path: string;
  /** Whether it becomes the one used last. */
  readonly keep: boolean;
}

/**
 * Says which model it is.
 *
 * @throws UsageError where there are several and nobody to ask, AbortError on Ctrl-C.
 */
export async function defaultModel(terminal: Terminal): Promise<ModelChoice> {
  const last = lastModel();
  if (last !== undefined && isThere(last)) {
    terminal.notice(last === nanoPath ? nanoNotice : `${last}, the model used last.`);
    return { path: last, keep: true };
  }
  if (last !== undefined) terminal.notice(`The model used last is gone: ${last}.`);
  const found = distinct(ownModelsFound());
  const [only] = found;
  if (!only) {
    terminal.notice(nanoNotice);
    return { path: nanoPath, keep: false };
  }
  if (found.length > 1) return { path: (await choose(found, terminal)).path, keep: true };
  terminal.notice(
    `${only.reference}, the only model in MINICPM_MODELS and the Hugging Face cache: ${only.path}.`,
  );
  return { path: only.path, keep: true };
}

/** The model named, or the default one. */
export async function chosenModel(reference: string | undefined, terminal: Terminal): Promise<ModelChoice> {
  return reference === undefined ? defaultModel(terminal) : { path: reference, keep: true };
}

function isThere(path: string): boolean {
  try {
    findModel(path);
    return true;
  } catch {
    return false;
  }
}

function distinct(models: readonly FoundModel[]): FoundModel[] {
  return [...new Map(models.map((model) => [model.path, model])).values()];
}

async function choose(models: readonly FoundModel[], terminal: Terminal): Promise<FoundModel> {
  if (!process.stdin.isTTY || !process.stderr.isTTY || terminal.jsonLines) {
    const list = models.map(({ reference }) => reference).join(", ");
    throw new UsageError(`Several models are here, name one of them: ${list}.`);
  }
  terminal.message("Several models are here:");
  for (const [index, { reference }] of models.entries()) {
    terminal.message(printable(`  ${index + 1}  ${reference}`));
  }
  for (;;) {
    const answer = (await question(`Which one (1 to ${models.length})? `)).trim();
    const chosen = models[Number(answer) - 1] ?? models.find(({ reference }) => reference === answer);
    if (chosen) return chosen;
  }
}

/** A line typed on the terminal. @throws AbortError on Ctrl-C and Ctrl-D. */
async function question(prompt: string): Promise<string> {
  const editor = new LineEditor({
    input: process.stdin as ReadStream,
    output: process.stderr as WriteStream,
    history: History.forgetful(),
    complete: () => [],
    onInterrupt: () => {},
  });
  try {
    const line = await editor.read(prompt);
    if (line.type !== "line") throw new AbortError();
    return line.text;
  } finally {
    editor.close();
  }
}
