import type { TemplatePiece, Tokenizer } from "../model/tokenizer.ts";

/** Text and the tokens it is made of. */
export interface Stretch {
  readonly text: string;
  readonly tokens: Int32Array;
}

/**
 * The tokens that a conversation was really made of. A model may write an answer in other tokens than the tokenizer
 * would; the next prompt goes on from those the model wrote, so that it reads what it said and nothing is run twice.
 */
export class Transcript {
  readonly #tokenizer: Tokenizer;
  /** From the start to the end of each answer; each begins with the one before. */
  #turns: Stretch[] = [];

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** The conversation so far, for another that goes its own way. */
  copy(): Transcript {
    const copy = new Transcript(this.#tokenizer);
    copy.#turns = [...this.#turns];
    return copy;
  }

  /**
   * The prompt's tokens: remembered ones as far as its text begins with a remembered text that a special token of the
   * template's follows, newly encoded ones from there on. Forgets what the prompt does not begin with.
   */
  encode(pieces: readonly TemplatePiece[]): Int32Array {
    const text = pieces.map((piece) => piece.text).join("");
    for (let known = this.#turns.at(-1); known; this.#turns.pop(), known = this.#turns.at(-1)) {
      const rest = text.startsWith(known.text) ? piecesFrom(pieces, known.text.length) : [];
      if (this.#beginsWithSpecial(rest[0])) {
        return joined(known.tokens, this.#tokenizer.encodeTemplate(rest, { bos: false }));
      }
    }
    return this.#tokenizer.encodeTemplate(pieces, { bos: true });
  }

  /** Remembers a prompt and the answer to it; `answer` is the text that templates get of it in later turns. */
  add(prompt: Stretch, answer: Stretch): void {
    this.#turns.push({ text: prompt.text + answer.text, tokens: joined(prompt.tokens, answer.tokens) });
  }

  #beginsWithSpecial(piece: TemplatePiece | undefined): boolean {
    if (!piece?.trusted) return false;
    return this.#tokenizer.addedTokens.some(
      ({ content, lstrip }) => !lstrip && piece.text.startsWith(content),
    );
  }
}

function joined(a: Int32Array, b: Int32Array): Int32Array {
  const result = new Int32Array(a.length + b.length);
  result.set(a);
  result.set(b, a.length);
  return result;
}

/** What is left of the pieces behind their first `length` characters. */
function piecesFrom(pieces: readonly TemplatePiece[], length: number): TemplatePiece[] {
  const rest: TemplatePiece[] = [];
  let start = -length;
  for (const { text, trusted } of pieces) {
    const part = text.slice(Math.max(0, -start));
    if (start + text.length > 0) rest.push({ text: part, trusted });
    start += text.length;
  }
  return rest;
}
