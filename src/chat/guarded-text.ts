import { OptionError } from "../errors.ts";
import type { TemplatePiece } from "../model/tokenizer.ts";

/**
 * Keeps message text apart from template text while a template puts them together as strings: where a message spells
 * a special token, two marks are put around it, and found again in what the template rendered. All other text is as it
 * was, so that templates can trim, split and compare it.
 */
export class TextGuard {
  /** Matches any special token, the longest first. */
  readonly #pattern: RegExp;
  readonly #specials: readonly string[];
  readonly #open: string;
  readonly #close: string;

  /**
   * @param specials what special tokens look like
   * @param texts all message text; the marks are characters that are in none of it
   */
  constructor(specials: readonly string[], texts: readonly string[]) {
    this.#specials = [...specials].sort((a, b) => b.length - a.length);
    const literals = this.#specials.map((special) => special.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
    this.#pattern = new RegExp(literals.join("|") || "(?!)", "g");
    [this.#open, this.#close] = unusedCharacters(texts);
  }

  /** The text with its special tokens marked, and the beginning of one at its end: what follows might complete it. */
  guard(text: string): string {
    let guarded = "";
    let start = 0;
    for (const { 0: special, index } of text.matchAll(this.#pattern)) {
      guarded += text.slice(start, index) + this.#marked(special);
      start = index + special.length;
    }
    return guarded + this.#guardEnd(text.slice(start));
  }

  /** The rendered text without marks, cut where trust changes. */
  pieces(rendered: string): TemplatePiece[] {
    const pieces: TemplatePiece[] = [];
    for (const [index, part] of rendered.split(this.#open).entries()) {
      const [marked = "", ...after] = index === 0 ? ["", part] : part.split(this.#close);
      pieces.push({ text: marked, trusted: false }, { text: after.join(""), trusted: true });
    }
    return pieces.filter(({ text }) => text !== "");
  }

  #guardEnd(text: string): string {
    const end = text.trimEnd();
    for (let at = Math.max(0, end.length - (this.#specials[0]?.length ?? 0)); at < end.length; at++) {
      const beginning = end.slice(at);
      if (this.#specials.some((special) => special.startsWith(beginning))) {
        return text.slice(0, at) + this.#marked(beginning) + text.slice(end.length);
      }
    }
    return text;
  }

  #marked(text: string): string {
    return this.#open + text + this.#close;
  }
}

/** Two private-use characters that are in none of the texts. */
function unusedCharacters(texts: readonly string[]): [string, string] {
  const unused: string[] = [];
  for (let code = 0xe000; code < 0xf900 && unused.length < 2; code++) {
    const character = String.fromCharCode(code);
    if (!texts.some((text) => text.includes(character))) unused.push(character);
  }
  const [open, close] = unused;
  if (open && close) return [open, close];
  throw new OptionError("messages", "texts that leave two private-use characters unused", "all of them");
}
