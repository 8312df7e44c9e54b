/**
 * The vocabulary inside a GGUF file as a `tokenizer.json`: byte-level BPE (`tokenizer.ggml.model` gpt2), or SentencePiece
 * (llama).
 */
import { UnsupportedError } from "../errors.ts";
import { controlToken } from "./gguf-config.ts";
import type { GgufValue } from "./gguf-cursor.ts";
import { sentencePieceJson } from "./gguf-sentencepiece.ts";
import { Fields } from "./json-fields.ts";
import { byteLevel, gpt2Words, isolate } from "./pre-tokenizer.ts";

/** What else a tokenizer.json says about an added token. */
const plainToken = { lstrip: false, rstrip: false, single_word: false, normalized: false };

/** A token that is matched in text as it is, but shown. */
const userDefinedToken = 4;

/** How text is cut into words, by the name in `tokenizer.ggml.pre`; the expressions are llama.cpp's. */
export const byteLevelRules: Readonly<Record<string, readonly string[]>> = {
  default: ["[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2Words, "\\p{N}+", "[0-9][0-9][0-9]"],
  "gpt-2": [gpt2Words],
  "llama-bpe": [words("\\p{N}{1,3}")],
  qwen2: [words("\\p{N}")],
  smollm: ["\\p{N}", gpt2Words],
};

/**
 * @param file named in errors
 * @returns JSON for `Tokenizer`, and whether the file wants bos before texts (undefined where it does not say)
 * @throws CheckpointError, or UnsupportedError for other vocabularies.
 */
export function ggufTokenizer(
  file: string,
  metadata: ReadonlyMap<string, GgufValue>,
): { readonly json: object; readonly addBos: boolean | undefined } {
  const fields = new Fields(file, Object.fromEntries(metadata));
  const model = fields.string("tokenizer.ggml.model") ?? "none";
  const addBos = fields.boolean("tokenizer.ggml.add_bos_token");
  if (model === "llama") {
    const tokens = strings(fields, "tokenizer.ggml.tokens");
    return { json: sentencePieceJson(fields, tokens), addBos: addBos ?? true };
  }
  if (model !== "gpt2") {
    throw new UnsupportedError(
      `The vocabulary "${model}" of ${file}`,
      "GGUF files with a gpt2 or llama vocabulary run; take the model's Hugging Face folder with its tokenizer.json.",
    );
  }
  const pre = fields.string("tokenizer.ggml.pre") ?? "default";
  const rules = Object.hasOwn(byteLevelRules, pre) ? byteLevelRules[pre] : undefined;
  if (!rules) {
    const known = Object.keys(byteLevelRules).join(", ");
    throw new UnsupportedError(`The pre-tokenizer "${pre}" of ${file}`, `These are: ${known}.`);
  }
  const tokens = strings(fields, "tokenizer.ggml.tokens");
  const llama3 = pre === "llama-bpe";
  return {
    json: {
      added_tokens: addedTokens(fields, tokens),
      normalizer: null,
      pre_tokenizer: { type: "Sequence", pretokenizers: [...rules.map(isolate), byteLevel] },
      post_processor: null,
      decoder: { type: "ByteLevel" },
      model: {
        type: "BPE",
        ignore_merges: llama3,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: strings(fields, "tokenizer.ggml.merges"),
      },
    },
    addBos: addBos ?? (llama3 || undefined),
  };
}

/** Words of Llama 3 and its kin, which differ in how `digits` go together. */
function words(digits: string): string {
  return (
    "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
    `${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
  );
}

function addedTokens(fields: Fields, tokens: readonly string[]): object[] {
  const name = "tokenizer.ggml.token_type";
  const types = fields.get(name) ?? [];
  const fits = Array.isArray(types) && (types.length === 0 || types.length === tokens.length);
  if (!fits) throw fields.wrong(name, `${tokens.length} types`, Array.isArray(types) ? types.length : types);
  return tokens.flatMap((content, id) => {
    const type: unknown = types[id];
    if (content === "" || (type !== controlToken && type !== userDefinedToken)) return [];
    return [{ id, content, special: type === controlToken, ...plainToken }];
  });
}

function strings(fields: Fields, name: string): readonly string[] {
  const list = fields.get(name);
  const bad = Array.isArray(list) ? list.find((item) => typeof item !== "string") : list;
  if (!Array.isArray(list) || bad !== undefined) throw fields.wrong(name, "a list of strings", bad);
  return list;
}
