/** Documents that stand before a conversation, as its system message. */
import { basename } from "node:path";
import { UsageError } from "./failure.ts";
import { givenFile } from "./given-file.ts";

/**
 * The documents, each under its name, then the instructions: the beginning is the same whatever the instructions are,
 * so that what `minicpm read` has read serves any of them.
 *
 * @throws UsageError for a file that is no text or cannot be read.
 */
export function withDocuments(files: readonly string[], system?: string): string | undefined {
  const parts = files.map((file) => `${basename(file)}:\n\n${documentText(file)}`);
  if (system !== undefined) parts.push(system);
  return parts.length === 0 ? undefined : parts.join("\n\n");
}

function documentText(file: string): string {
  const bytes = givenFile(file);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch {
    // told below
  }
  throw new UsageError(`${file} is no UTF-8 text.`);
}
