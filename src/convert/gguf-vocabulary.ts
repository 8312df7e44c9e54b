/** A folder's tokenizer and chat template as GGUF metadata, under the names of llama.cpp's converter. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError, UnsupportedError } from "../errors.ts";
import { array, boolean, float32, string, strings, type TypedValue, uint32 } from "../gguf/gguf-writer.ts";
import { byteLevelRules } from "../model/gguf-tokenizer.ts";
import type { OpenedModel } from "../model/opened-model.ts";
import { byteLevel, isolate } from "../model/pre-tokenizer.ts";
import { planTokenizer, type TokenizerPlan } from "../model/tokenizer-json.ts";

/** Type numbers of tokens (llama.h). */
const types = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

interface BpeModel {
  readonly byte_fallback: boolean;
  readonly ignore_merges: boolean;
  readonly unk_token: string | null;
  readonly merges: readonly (readonly [string, string])[];
}

/**
 * @param model of a Hugging Face folder
 * @throws CheckpointError; UnsupportedError for a tokenizer that llama.cpp has no name for
 */
export function vocabularyMetadata(model: OpenedModel): Record<string, TypedValue> {
  const file = join(model.path, "tokenizer.json");
  const plan = planTokenizer(file, readJson(file));
  const bpe = (plan.json as { readonly model: BpeModel }).model;
  const { config, chatTemplate } = model;
  const { eosTokens, bosToken = plan.prefix[0] } = config;
  const eos = eosTokens.at(-1) ?? bosToken;
  return {
    ...(bpe.byte_fallback ? sentencePiece(plan, bpe, config.vocabSize) : byteLevelBpe(file, plan, bpe)),
    ...tokenList(plan, bpe, config.vocabSize),
    ...(bosToken !== undefined && { "tokenizer.ggml.bos_token_id": uint32(bosToken) }),
    ...(eos !== undefined && { "tokenizer.ggml.eos_token_id": uint32(eos) }),
    "tokenizer.ggml.add_bos_token": boolean(plan.prefix.length > 0),
    "tokenizer.ggml.add_eos_token": boolean(false),
    ...(chatTemplate !== undefined && { "tokenizer.chat_template": string(chatTemplate) }),
  };
}

/** Ids that the tokenizer has no token for are unused. */
function tokenList({ tokens, addedTokens }: TokenizerPlan, { unk_token }: BpeModel, vocabSize: number) {
  const added = new Map(addedTokens.map((token) => [token.id, token]));
  const typeOf = (id: number): number => {
    const token = tokens[id];
    if (token === undefined) return types.unused;
    if (token === unk_token) return types.unknown;
    const own = added.get(id);
    if (own) return own.special ? types.control : types.userDefined;
    return /^<0x[0-9A-F]{2}>$/.test(token) ? types.byte : types.normal;
  };
  const ids = Array.from({ length: vocabSize }, (_, id) => id);
  return {
    "tokenizer.ggml.tokens": strings(ids.map((id) => tokens[id] ?? `[PAD${id}]`)),
    "tokenizer.ggml.token_type": array(
      5,
      ids.map((id) => uint32(typeOf(id))),
    ),
  };
}

/**
 * llama.cpp merges the pair whose token has the highest score: the sooner the merges make a token, the higher. Tokens that
 * no merge makes are found by nobody's merging.
 */
function sentencePiece(
  { tokens }: TokenizerPlan,
  { merges, unk_token }: BpeModel,
  vocabSize: number,
): Record<string, TypedValue> {
  const ranks = new Map<string, number>();
  for (const [rank, [left, right]] of merges.entries()) {
    if (!ranks.has(left + right)) ranks.set(left + right, rank);
  }
  const unknown = tokens.indexOf(unk_token ?? undefined);
  const scores = Array.from({ length: vocabSize }, (_, id) => float32(-(ranks.get(tokens[id] ?? "") ?? 0)));
  return {
    "tokenizer.ggml.model": string("llama"),
    "tokenizer.ggml.pre": string("default"),
    "tokenizer.ggml.scores": array(6, scores),
    "tokenizer.ggml.add_space_prefix": boolean(true),
    ...(unknown >= 0 && { "tokenizer.ggml.unknown_token_id": uint32(unknown) }),
  };
}

/** @throws UnsupportedError where text is cut into words in a way that has no name */
function byteLevelBpe(file: string, { json }: TokenizerPlan, { merges, ignore_merges }: BpeModel) {
  const cut = cuts((json as { readonly pre_tokenizer: unknown }).pre_tokenizer);
  const found = Object.entries(byteLevelRules).find(
    ([name, rules]) =>
      cuts([...rules.map(isolate), byteLevel]) === cut && ignore_merges === (name === "llama-bpe"),
  );
  if (!found) {
    throw new UnsupportedError(
      `The pre-tokenizer of ${file} in a GGUF`,
      `Those of ${Object.keys(byteLevelRules).join(", ")} are.`,
    );
  }
  return {
    "tokenizer.ggml.model": string("gpt2"),
    "tokenizer.ggml.pre": string(found[0]),
    "tokenizer.ggml.merges": strings(merges.map((pair) => pair.join(" "))),
  };
}

/** Pre-tokenizers one behind the other, sequences in sequences or not, as a text to compare. */
function cuts(json: unknown): string {
  const flat = (each: unknown): unknown[] => {
    if (Array.isArray(each)) return each.flatMap(flat);
    const { type, pretokenizers, pattern } = (each ?? {}) as Record<string, unknown>;
    if (type === "Sequence") return flat(pretokenizers);
    return [type === "Split" ? { type, pattern } : { type }];
  };
  return JSON.stringify(flat(json));
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(file, "", "a tokenizer", found, { cause });
  }
}
