/**
 * A `tokenizer.json` made ready: checked, without its added tokens (so that text can never become one), with the fast
 * path where it is legal, and with what the decoder has to do.
 */
import { CheckpointError, UnsupportedError } from "../errors.ts";
import { type DecoderRules, decoderRules } from "./decoder-rules.ts";
import { Fields, isObject, type Range, shown } from "./json-fields.ts";
import { preTokenizer } from "./pre-tokenizer.ts";

/** A token beside the BPE vocabulary: `<|im_end|>` and the like. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Not shown in decoded text. */
  readonly special: boolean;
  /** Swallows white space on its left or right. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

export interface TokenizerPlan {
  /** For the library: no added tokens, and no way to merge one together out of text. */
  readonly json: object;
  /** Token strings by id, added ones included; undefined where an id has none. */
  readonly tokens: readonly (string | undefined)[];
  readonly addedTokens: readonly AddedToken[];
  /** Tokens that the file itself puts before every text: [bos], or nothing. */
  readonly prefix: readonly number[];
  readonly decoder: DecoderRules;
  /** Text is cut before each run of `▁`, which this vocabulary's merges cannot cross. */
  readonly fastPath: boolean;
}

const tokenIds: Range = { least: 0, most: 2 ** 22 };

/**
 * @param file named in errors
 * @throws CheckpointError where the JSON is no tokenizer, UnsupportedError where it is none of ours.
 */
export function planTokenizer(file: string, json: unknown): TokenizerPlan {
  const fields = Fields.of(file, json);
  const model = fields.fields("model");
  if (!model) throw fields.wrong("model", "a JSON object", undefined);
  refuseUnsupported(file, model);
  checkNormalizer(fields.fields("normalizer"));

  const vocabulary = readVocabulary(model);
  const merges = readMerges(model);
  const addedTokens = readAddedTokens(fields);
  const tokens: (string | undefined)[] = [];
  for (const [content, id] of vocabulary) tokens[id] = content;
  for (const { content, id } of addedTokens) tokens[id] = content;

  const unknown = model.string("unk_token");
  const hidden = new Set(addedTokens.map(({ content }) => content).filter((content) => content !== unknown));
  const fastPath = spacesAreBoundaries(merges) && !model.boolean("ignore_merges");
  const split = preTokenizer(file, fields.get("pre_tokenizer") ?? null, fastPath);
  return {
    json: {
      normalizer: fields.get("normalizer") ?? null,
      pre_tokenizer: split.json,
      post_processor: null,
      decoder: null,
      added_tokens: [],
      model: {
        type: "BPE",
        unk_token: unknown ?? null,
        byte_fallback: model.boolean("byte_fallback") ?? false,
        fuse_unk: model.boolean("fuse_unk") ?? false,
        ignore_merges: model.boolean("ignore_merges") ?? false,
        vocab: Object.fromEntries(vocabulary.filter(([content]) => !hidden.has(content))),
        merges: merges.filter(([left, right]) => !hidden.has(left + right)),
      },
    },
    tokens,
    addedTokens,
    prefix: readPrefix(fields.fields("post_processor")),
    decoder: decoderRules(file, fields.get("decoder")),
    fastPath: split.fastPath,
  };
}

/** Whether no merge joins a `▁` to something else before it, so that cutting there changes no token. */
export function spacesAreBoundaries(merges: readonly (readonly [string, string])[]): boolean {
  return !merges.some(([left, right]) => right.startsWith("▁") && !left.endsWith("▁"));
}

function refuseUnsupported(file: string, model: Fields): void {
  const type = model.string("type") ?? "BPE";
  if (type !== "BPE") throw new UnsupportedError(`The tokenizer model ${type} (in ${file})`, "Only BPE is.");
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    if (model.string(name)) throw new UnsupportedError(`${name} (in ${file})`, "Only plain BPE is.");
  }
}

/** The library takes any pattern, and prints a warning for what it does not know. */
function checkNormalizer(normalizer: Fields | undefined, depth = 0): void {
  if (normalizer?.string("type") === "Replace") {
    const pattern = normalizer.fields("pattern");
    if (pattern?.string("String") === undefined && pattern?.string("Regex") === undefined) {
      throw normalizer.wrong("pattern", "a String or Regex", normalizer.get("pattern"));
    }
    normalizer.string("content");
  } else if (normalizer?.string("type") === "Sequence") {
    const parts = normalizer.get("normalizers");
    if (!Array.isArray(parts) || depth > 4) throw normalizer.wrong("normalizers", "a list", parts);
    for (const part of parts) checkNormalizer(Fields.of(normalizer.file, part, "normalizer."), depth + 1);
  }
}

function readVocabulary(model: Fields): [string, number][] {
  const vocabulary = model.get("vocab");
  if (!isObject(vocabulary)) throw model.wrong("vocab", "tokens with their ids", vocabulary);
  const entries = Object.entries(vocabulary);
  const bad = entries.find(([, id]) => !isTokenId(id));
  if (bad) throw model.wrong(`vocab ${shown(bad[0])}`, `an id up to ${tokenIds.most}`, bad[1]);
  return entries as [string, number][];
}

function readMerges(model: Fields): [string, string][] {
  const merges = model.get("merges");
  if (!Array.isArray(merges)) throw model.wrong("merges", "a list of pairs", merges);
  return merges.map((merge: unknown) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    const good =
      Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string" && part);
    if (!good) throw model.wrong("merges", "pairs of tokens", merge);
    return pair as [string, string];
  });
}

function readAddedTokens(fields: Fields): AddedToken[] {
  const list = fields.get("added_tokens") ?? [];
  if (!Array.isArray(list)) throw fields.wrong("added_tokens", "a list", list);
  return list.map((entry: unknown) => {
    const token = Fields.of(fields.file, entry, "added_tokens.");
    const content = token.string("content");
    if (!content) throw token.wrong("content", "the token's text", content);
    return {
      id: token.integer("id", tokenIds),
      content,
      special: token.boolean("special") ?? false,
      lstrip: token.boolean("lstrip") ?? false,
      rstrip: token.boolean("rstrip") ?? false,
    };
  });
}

/** The special tokens that a post-processor puts before a single text. */
function readPrefix(processor: Fields | undefined): number[] {
  if (!processor) return [];
  switch (processor.string("type")) {
    case "Sequence": {
      const parts = processor.get("processors");
      if (!Array.isArray(parts)) throw processor.wrong("processors", "a list", parts);
      return parts.flatMap((part) => readPrefix(Fields.of(processor.file, part, "post_processor.")));
    }
    case "TemplateProcessing":
      return readTemplatePrefix(processor);
    case "ByteLevel":
      return [];
    default:
      throw new UnsupportedError(
        `The post-processor ${shown(processor.get("type"))} (in ${processor.file})`,
        "TemplateProcessing and ByteLevel are.",
      );
  }
}

function readTemplatePrefix(processor: Fields): number[] {
  const template = processor.get("single");
  if (!Array.isArray(template)) throw processor.wrong("single", "a list", template);
  const specials = processor.fields("special_tokens");
  const prefix: number[] = [];
  for (const part of template) {
    if (!isObject(part) || !isObject(part.SpecialToken)) break;
    const { id } = part.SpecialToken;
    const ids = typeof id === "string" ? specials?.fields(id)?.integers("ids", tokenIds) : undefined;
    if (!ids)
      throw new CheckpointError(processor.file, "post_processor", "special_tokens with ids", shown(id));
    prefix.push(...ids);
  }
  return prefix;
}

function isTokenId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= tokenIds.least && (value as number) <= tokenIds.most;
}
