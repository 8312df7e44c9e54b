/** Text <-> tokens. BPE is @huggingface/tokenizers; which text may become a special token is decided here. */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { CheckpointError } from "../errors.ts";
import { TokenStream, tokenBytes } from "./token-bytes.ts";
import { type AddedToken, planTokenizer, type TokenizerPlan } from "./tokenizer-json.ts";

/** A stretch of rendered chat template. */
export interface TemplatePiece {
  readonly text: string;
  /** Written by the template itself, so that its special tokens count; message contents are not. */
  readonly trusted: boolean;
}

export interface EncodeOptions {
  /** Added tokens such as `<|im_end|>` are parsed in the text. Default false: they are text like any other. */
  readonly special?: boolean;
  /** The beginning-of-text token comes first where the tokenizer wants one, never twice. Default false. */
  readonly bos?: boolean;
}

export interface StreamOptions {
  /** Special tokens are shown. Default false. */
  readonly special?: boolean;
  /** The tokens go on from earlier text, so that a space at the start stays. Default false. */
  readonly continued?: boolean;
}

export interface TokenizerOptions {
  /** The model's beginning-of-text token. */
  readonly bosToken?: number | undefined;
  /** Tokens that end an answer. */
  readonly eosTokens?: readonly number[] | undefined;
  /** Overrides what the file says about putting `bosToken` first. */
  readonly addBos?: boolean | undefined;
}

export class Tokenizer {
  readonly bosToken: number | undefined;
  readonly eosTokens: readonly number[];
  /** Tokens beside the BPE vocabulary, special and not. */
  readonly addedTokens: readonly AddedToken[];
  /** Highest id + 1; a model's own vocabulary may be larger. */
  readonly vocabSize: number;
  /** Whether long texts take the fast path (see pre-tokenizer.ts): checked against the merges when made. */
  readonly fastPath: boolean;
  /** What goes before a text: [bos], or nothing. */
  readonly prefix: readonly number[];

  private readonly library: Library;
  private readonly plan: TokenizerPlan;
  private readonly bytes: (Uint8Array | undefined)[] = [];
  private readonly hidden: ReadonlySet<number>;
  private readonly addedByContent: ReadonlyMap<string, AddedToken>;
  private readonly addedPattern: RegExp | undefined;

  /**
   * @param file named in errors
   * @param json the content of a `tokenizer.json`
   * @throws CheckpointError where it is none, UnsupportedError where it is of a kind that we do not have.
   */
  constructor(file: string, json: unknown, { bosToken, eosTokens = [], addBos }: TokenizerOptions = {}) {
    this.plan = planTokenizer(file, json);
    this.library = build(file, this.plan);
    this.addedTokens = this.plan.addedTokens;
    this.vocabSize = this.plan.tokens.length;
    this.fastPath = this.plan.fastPath;
    this.bosToken = bosToken ?? this.plan.prefix[0];
    this.eosTokens = eosTokens;
    this.prefix =
      addBos === undefined ? this.plan.prefix : addBos && this.bosToken !== undefined ? [this.bosToken] : [];
    this.hidden = new Set(this.addedTokens.filter(({ special }) => special).map(({ id }) => id));
    this.addedByContent = new Map(this.addedTokens.map((token) => [token.content, token]));
    this.addedPattern = alternatives([...this.addedByContent.keys()]);
  }

  /** The tokens of a text. */
  encode(text: string, { special = false, bos = false }: EncodeOptions = {}): Int32Array {
    return this.encodeTemplate([{ text, trusted: special }], { bos });
  }

  /**
   * The tokens of a rendered chat template. Added tokens come from trusted pieces only; all text between two of them is
   * encoded as one string, whoever wrote it, as Hugging Face does with the joined text.
   */
  encodeTemplate(
    pieces: readonly TemplatePiece[],
    { bos = true }: Pick<EncodeOptions, "bos"> = {},
  ): Int32Array {
    const tokens: number[] = [];
    let text = "";
    let cut = false; // the token before swallows white space on its right
    const flush = (swallowed: boolean) => {
      if (cut) text = text.trimStart();
      if (swallowed) text = text.trimEnd();
      this.appendText(tokens, text);
      text = "";
    };
    for (const run of joinTrusted(pieces)) {
      for (const part of run.trusted ? this.splitAdded(run.text) : [run.text]) {
        if (typeof part === "string") {
          text += part;
        } else {
          flush(part.lstrip);
          tokens.push(part.id);
          cut = part.rstrip;
        }
      }
    }
    flush(false);
    const doubled = this.prefix.every((id, index) => tokens[index] === id);
    return Int32Array.from(bos && !doubled ? [...this.prefix, ...tokens] : tokens);
  }

  /** The text of tokens. Bytes that are no UTF-8 become U+FFFD. */
  decode(tokens: Iterable<number>, options: StreamOptions = {}): string {
    const stream = this.decodeStream(options);
    return stream.pushAll(tokens) + stream.end();
  }

  /** Decodes tokens as they come. */
  decodeStream({ special = false, continued = false }: StreamOptions = {}): TokenStream {
    const shown = (id: number) => (this.hidden.has(id) && !special ? undefined : this.idToBytes(id));
    return new TokenStream({ stripStart: this.plan.decoder.stripStart, shown }, { continued });
  }

  /** The bytes of one token, special tokens' content included; empty where the id has no token. Not to be changed. */
  idToBytes(id: number): Uint8Array {
    const known = this.bytes[id];
    if (known) return known;
    const token = this.idToToken(id);
    const bytes = token === undefined ? new Uint8Array() : tokenBytes(token, this.plan.decoder);
    if (token !== undefined) this.bytes[id] = bytes;
    return bytes;
  }

  /** A token as the vocabulary writes it, for example `▁Hello`. */
  idToToken(id: number): string | undefined {
    return this.plan.tokens[id];
  }

  /** The id of an added token by its exact text. */
  addedTokenId(content: string): number | undefined {
    return this.addedByContent.get(content)?.id;
  }

  /** Whether a token is left out of decoded text. */
  isSpecial(id: number): boolean {
    return this.hidden.has(id);
  }

  private appendText(tokens: number[], text: string): void {
    const { normalizer, pre_tokenizer: preTokenizer, model } = this.library;
    const normal = normalizer ? normalizer(text) : text;
    if (text === "" || normal === "" || !model) return;
    // A number other than 0 tells Metaspace that this is not the text's first section.
    const words = preTokenizer ? preTokenizer(normal, { section_index: tokens.length }) : [normal];
    for (const token of model(words)) {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
      if (id !== undefined) tokens.push(id);
    }
  }

  /** Text and the added tokens in it, leftmost first, the longest of several. */
  private *splitAdded(text: string): Generator<string | AddedToken> {
    let start = 0;
    for (const match of this.addedPattern ? text.matchAll(this.addedPattern) : []) {
      if (match.index > start) yield text.slice(start, match.index);
      yield this.addedByContent.get(match[0]) as AddedToken;
      start = match.index + match[0].length;
    }
    if (start < text.length) yield text.slice(start);
  }
}

function build(file: string, plan: TokenizerPlan): Library {
  try {
    return new Library(plan.json, {});
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(file, "", "a tokenizer that @huggingface/tokenizers can build", reason, {
      cause,
    });
  }
}

/** Neighbouring trusted pieces as one, so that a special token may be written in parts. */
function joinTrusted(pieces: readonly TemplatePiece[]): TemplatePiece[] {
  const runs: TemplatePiece[] = [];
  for (const piece of pieces) {
    const last = runs.at(-1);
    if (piece.text === "") continue;
    if (last?.trusted && piece.trusted)
      runs[runs.length - 1] = { text: last.text + piece.text, trusted: true };
    else runs.push(piece);
  }
  return runs;
}

/** Matches any of `words`, the longest first. */
function alternatives(words: readonly string[]): RegExp | undefined {
  if (words.length === 0) return undefined;
  const escaped = [...words]
    .sort((a, b) => b.length - a.length)
    .map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(escaped.join("|"), "gu");
}
