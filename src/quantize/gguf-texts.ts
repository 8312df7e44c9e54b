/** What a GGUF file says besides its weights, as the files of a Hugging Face folder: config, tokenizer, chat template. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { withFile } from "../model/byte-source.ts";
import { readGguf } from "../model/gguf.ts";
import { openGguf } from "../model/gguf-model.ts";
import { ggufTokenizer } from "../model/gguf-tokenizer.ts";
import type { OpenedCheckpoint, OpenedText } from "../model/opened-model.ts";
import { configJson } from "./config-json.ts";

/** File names with what is in them. */
export type Texts = Readonly<Record<string, string>>;

/**
 * The texts of a GGUF, so that a folder with them and the same weights answers as the file does.
 *
 * @throws CheckpointError; UnsupportedError for vocabularies other than byte-level BPE and SentencePiece
 */
export function ggufTexts(checkpoint: OpenedCheckpoint): Texts {
  const { path } = checkpoint;
  const text = openGguf(checkpoint).readText();
  const { json } = withFile(path, (source) => ggufTokenizer(path, readGguf(source).metadata));
  return {
    "tokenizer.json": written({ version: "1.0", ...json, post_processor: prefixed(text) }),
    "tokenizer_config.json": written({
      ...text.templateTokens,
      model_max_length: checkpoint.config.maxContext,
      tokenizer_class: "PreTrainedTokenizerFast",
    }),
    ...(text.chatTemplate !== undefined && { "chat_template.jinja": text.chatTemplate }),
    "config.json": written(configJson(checkpoint)), // without it a folder is no model: it comes last
  };
}

/** Writes them into `folder`. */
export function writeTexts(folder: string, texts: Texts): void {
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text);
}

/** The tokens that go before every text, where there are any. */
function prefixed({ tokenizer }: OpenedText): object | null {
  const ids = tokenizer.prefix;
  if (ids.length === 0) return null;
  const name = (id: number) => tokenizer.idToToken(id) ?? String(id);
  const specials = ids.map((id) => [name(id), { id: name(id), ids: [id], tokens: [name(id)] }] as const);
  const before = ids.map((id) => ({ SpecialToken: { id: name(id), type_id: 0 } }));
  return {
    type: "TemplateProcessing",
    single: [...before, { Sequence: { id: "A", type_id: 0 } }],
    pair: [...before, { Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: Object.fromEntries(specials),
  };
}

function written(json: object): string {
  return `${JSON.stringify(json, undefined, 2)}\n`;
}
