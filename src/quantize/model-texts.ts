/** What a folder made of a model takes over from it besides weights. */
import { copyFileSync, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { OpenedCheckpoint } from "../model/opened-model.ts";
import { ggufTexts, writeTexts } from "./gguf-texts.ts";

/** Copied as they are, where they are there. Without config.json a folder is no model: it comes last. */
const textFiles = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "config.json",
];

/**
 * Reads config, tokenizer and chat template of a GGUF, or finds them and the licence of a folder.
 *
 * @returns what writes them into a folder
 * @throws UnsupportedError as `ggufTexts`, before anything is written
 */
export function modelTexts(checkpoint: OpenedCheckpoint): (folder: string) => void {
  if (checkpoint.format === "gguf") {
    const texts = ggufTexts(checkpoint);
    return (folder) => writeTexts(folder, texts);
  }
  const licenses = readdirSync(checkpoint.path).filter((name) => /^(LICENSE|NOTICE)/i.test(name));
  const files = [...licenses, ...textFiles].filter((name) => {
    const file = join(checkpoint.path, name);
    return existsSync(file) && statSync(file).isFile();
  });
  return (folder) => {
    for (const name of files) copyFileSync(join(checkpoint.path, name), join(folder, name));
  };
}
