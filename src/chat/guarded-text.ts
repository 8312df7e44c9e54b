import { OptionError } from "../errors.ts";
import type { TemplatePiece } from "../model/tokenizer.ts";

/**
 * Keeps text of messages and tools apart from template text while a template puts them together as strings: where a message spells
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
   * @param values everything that is to be guarded; the marks are characters that are in none of it
   */
  constructor(specials: readonly string[], values: unknown) {
    this.#specials = [...specials].sort((a, b) => b.length - a.length);
    const literals = this.#specials.map((special) => special.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
    this.#pattern = new RegExp(literals.join("|") || "(?!)", "g");
    [this.#open, this.#close] = unusedCharacters(values);
  }

  /**
   * The value with special tokens marked in all of its texts, names of fields included, and the beginning of one at a
   * text's end: what follows might complete it.
   */
  guard<Value>(value: Value): Value;
  guard(value: unknown): unknown {
    if (typeof value === "string") return this.#guardText(value);
    if (Array.isArray(value)) return value.map((item) => this.guard(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [this.#guardText(name), this.guard(field)]),
    );
  }

  #guardText(text: string): string {
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
    const marked = [this.#open, this.#close].reduce(
      (text, mark) => text.replaceAll(escapedMark(mark), mark), // tojson(ensure_ascii=True) wrote it
      rendered,
    );
    for (const [index, part] of marked.split(this.#open).entries()) {
      const [guarded = "", ...after] = index === 0 ? ["", part] : part.split(this.#close);
      pieces.push({ text: guarded, trusted: false }, { text: after.join(""), trusted: true });
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

/** Two private-use characters that are in none of the texts, spelled out or escaped. @throws OptionError */
function unusedCharacters(values: unknown): [string, string] {
  const texts = jsonOf(values);
  const unused: string[] = [];
  for (let code = 0xe000; code < 0xf900 && unused.length < 2; code++) {
    const character = String.fromCharCode(code);
    if (!texts.includes(character) && !texts.includes(escapedMark(character))) unused.push(character);
  }
  const [open, close] = unused;
  if (open && close) return [open, close];
  throw new OptionError("messages", "texts that leave two private-use characters unused", "all of them");
}

function escapedMark(mark: string): string {
  return `\\u${mark.charCodeAt(0).toString(16)}`;
}

function jsonOf(values: unknown): string {
  try {
    return JSON.stringify(values);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OptionError("messages and tools", "values that JSON can write", reason);
  }
}
