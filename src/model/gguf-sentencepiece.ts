/** A SentencePiece vocabulary inside a GGUF file (`tokenizer.ggml.model` llama) as a `tokenizer.json`. */
import { controlToken } from "./gguf-config.ts";
import type { Fields } from "./json-fields.ts";

/** The numbers in `tokenizer.ggml.token_type`, beside {@link controlToken}. */
const normalToken = 1;
const unknownToken = 2;
const userDefinedToken = 4;

/**
 * The same form that Hugging Face's converter writes: BPE with byte fallback, whose merges are all ways to cut a token
 * into two others, those of the best score first.
 *
 * What the model's user defined is merged like any token where two others make it ("```"), and is matched as control
 * tokens are, where text is trusted, where not ("<h2>"). Nothing in angle brackets comes of merges.
 *
 * @param tokens by id
 * @throws CheckpointError where scores or types are not those of the tokens.
 */
export function sentencePieceJson(fields: Fields, tokens: readonly string[]): object {
  const scores = numbersOf(fields, "tokenizer.ggml.scores", tokens.length);
  const types = numbersOf(fields, "tokenizer.ggml.token_type", tokens.length);
  const addsSpace = fields.boolean("tokenizer.ggml.add_space_prefix") ?? true;
  const unknown = fields.integer(
    "tokenizer.ggml.unknown_token_id",
    { least: 0, most: tokens.length - 1 },
    Math.max(types.indexOf(unknownToken), 0),
  );
  const merges = mergesOf(tokens, scores, types);
  const spaces = { type: "Replace", pattern: { String: " " }, content: "▁" };
  return {
    added_tokens: addedTokens(tokens, types, new Set(merges.map(([left, right]) => left + right))),
    normalizer: {
      type: "Sequence",
      normalizers: [...(addsSpace ? [{ type: "Prepend", prepend: "▁" }] : []), spaces],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(addsSpace ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      unk_token: tokens[unknown],
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** Longer tokens, which no training gives, are never merged. */
const mostCharacters = 256;

/** Ways to make a token out of two, in the order in which they are tried. */
function mergesOf(
  tokens: readonly string[],
  scores: readonly number[],
  types: readonly number[],
): [string, string][] {
  const isText = (token: string, type: number | undefined) =>
    type === normalToken || (type === userDefinedToken && !/^<.*>$/su.test(token));
  const ids = new Map(tokens.flatMap((token, id) => (isText(token, types[id]) ? [[token, id]] : [])));
  const found: { readonly pair: [string, string]; readonly score: number }[] = [];
  for (const [token, id] of ids) {
    if (token.length > mostCharacters) continue;
    const score = scores[id] ?? 0;
    let left = "";
    for (const character of Array.from(token).slice(0, -1)) {
      left += character;
      const right = token.slice(left.length);
      if (ids.has(left) && ids.has(right)) found.push({ pair: [left, right], score });
    }
  }
  // Of equal scores, the one with the longer left part: text is merged from left to right.
  const length = (token: string) => Array.from(token).length;
  found.sort(
    ({ pair: a, score: first }, { pair: b, score: second }) =>
      second - first || length(b[0]) - length(a[0]) || length(b[1]) - length(a[1]),
  );
  return found.map(({ pair }) => pair);
}

/** @param merged tokens that merges make */
function addedTokens(
  tokens: readonly string[],
  types: readonly number[],
  merged: ReadonlySet<string>,
): object[] {
  return tokens.flatMap((content, id) => {
    const type = types[id];
    const special = type === controlToken || type === unknownToken;
    const whole = type === userDefinedToken && Array.from(content).length > 1 && !merged.has(content);
    if (content === "" || !(special || whole)) return [];
    return [{ id, content, special, lstrip: false, rstrip: false, single_word: false, normalized: false }];
  });
}

function numbersOf(fields: Fields, name: string, length: number): readonly number[] {
  return fields.numbers(name, length, { least: -3.5e38, most: 3.5e38 });
}
