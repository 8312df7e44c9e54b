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

/** Writes config, tokenizer, chat template and licence into `folder`. @throws UnsupportedError as `ggufTexts` */
export function writeModelTexts(folder: string, checkpoint: OpenedCheckpoint): void {
  if (checkpoint.format === "gguf") {
    writeTexts(folder, ggufTexts(checkpoint));
    return;
  }
  const licenses = readdirSync(checkpoint.path).filter((name) => /^(LICENSE|NOTICE)/i.test(name));
  for (const name of [...licenses, ...textFiles]) {
    const file = join(checkpoint.path, name);
    if (existsSync(file) && statSync(file).isFile()) copyFileSync(file, join(folder, name));
  }
}
