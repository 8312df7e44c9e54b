/** Python literals as models write them in tool calls, read as the JSON values they mean. */
import type { JsonValue } from "../tools/tool.ts";

/** What was read is no literal, and why, as a clause: "a string is not closed". */
export class NoLiteral extends Error {}

/** Deeper lists and dicts are refused: no tool needs them, and the stack has an end. */
const mostDepth = 64;

const space = /(?:\s|\\\r?\n|#[^\n]*)+/uy;
const digits = String.raw`\d(?:_?\d)*`;
const integers = String.raw`0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|${digits}`;
const floats = String.raw`(?:${digits}\.(?:${digits})?|\.${digits})(?:[eE][+-]?${digits})?|${digits}[eE][+-]?${digits}`;
const numeral = new RegExp(`(?:${floats}|${integers})(?![\\p{L}\\p{N}_.])`, "uy");
const quote = /([A-Za-z]{0,2})("""|'''|"|')/uy;
const word = /[\p{L}_][\p{L}\p{M}\p{N}_.]*/uy;
/** Python's words, and JSON's, which the same models write. */
const words = new Map<string, JsonValue>([
  ["True", true],
  ["False", false],
  ["None", null],
  ["true", true],
  ["false", false],
  ["null", null],
]);

/** Reads a text from its start to its end. Methods throw NoLiteral. */
export class PythonReader {
  #at = 0;

  constructor(readonly text: string) {}

  /** Whether nothing but white space and comments is left. */
  get atEnd(): boolean {
    this.#skip();
    return this.#at === this.text.length;
  }

  /** What comes next, for complaints. */
  get next(): string {
    this.#skip();
    const rest = this.text.slice(this.#at);
    return rest === "" ? "the end" : JSON.stringify(rest.length > 20 ? `${rest.slice(0, 17)}...` : rest);
  }

  /** Passes `token` if it comes next. */
  take(token: string): boolean {
    this.#skip();
    if (!this.text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  /** @param what is missing where `token` does not come next */
  expect(token: string, what: string): void {
    if (!this.take(token)) throw new NoLiteral(`${what} is missing before ${this.next}`);
  }

  /** Passes what the sticky `pattern` matches, if it does. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    this.#skip();
    return this.#exec(pattern);
  }

  /** A string, number, True, False, None, list, tuple or dict. */
  value(depth = 0): JsonValue {
    if (depth > mostDepth) throw new NoLiteral(`lists are nested deeper than ${mostDepth}`);
    const string = this.#strings();
    if (string !== undefined) return string;
    if (this.take("[")) return this.#items("]", depth).items;
    if (this.take("{")) return this.#dict(depth);
    if (this.take("(")) {
      const { items, comma } = this.#items(")", depth);
      return items.length === 1 && !comma ? (items[0] as JsonValue) : items;
    }
    return this.#number() ?? this.#word();
  }

  #skip(): void {
    this.#exec(space);
  }

  #exec(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match) this.#at += match[0].length;
    return match ?? undefined;
  }

  #items(close: string, depth: number): { readonly items: JsonValue[]; readonly comma: boolean } {
    const items: JsonValue[] = [];
    let comma = true;
    while (!this.take(close)) {
      if (!comma) throw new NoLiteral(`"," or "${close}" is missing before ${this.next}`);
      items.push(this.value(depth + 1));
      comma = this.take(",");
    }
    return { items, comma };
  }

  #dict(depth: number): JsonValue {
    const entries: [string, JsonValue][] = [];
    let comma = true;
    while (!this.take("}")) {
      if (!comma) throw new NoLiteral(`"," or "}" is missing before ${this.next}`);
      const key = this.value(depth + 1);
      if (typeof key === "object" && key !== null) throw new NoLiteral("a dict has a list as a key");
      this.expect(":", `":" after a dict's key`);
      entries.push([String(key), this.value(depth + 1)]);
      comma = this.take(",");
    }
    return Object.fromEntries(entries); // `__proto__` is a key like any other
  }

  #word(): JsonValue {
    const { next } = this;
    const [name = ""] = this.match(word) ?? [];
    const value = words.get(name);
    if (value !== undefined) return value;
    throw new NoLiteral(name === "" ? `a value is missing before ${next}` : `${name} is no literal`);
  }

  #number(): number | undefined {
    const [sign] = this.match(/[+-]/y) ?? [];
    const [found] = this.match(numeral) ?? [];
    if (found === undefined) {
      if (sign !== undefined) throw new NoLiteral(`a number is missing before ${this.next}`);
      return undefined;
    }
    const plain = found.replaceAll("_", "");
    if (/^0\d*[1-9]\d*$/.test(plain)) throw new NoLiteral(`${found} begins with 0`);
    const value = Number(plain);
    const whole = /^(?:\d+|0[xXoObB].+)$/.test(plain);
    if (!Number.isFinite(value) || (whole && !Number.isSafeInteger(value))) {
      throw new NoLiteral(`${found} is larger than a number can be exactly`);
    }
    return sign === "-" ? 0 - value : value; // an integer has no -0
  }

  /** Strings that follow each other are one. */
  #strings(): string | undefined {
    let text: string | undefined;
    for (let open = this.match(quote); open; open = this.match(quote)) {
      text = (text ?? "") + this.#string(open[1] ?? "", open[2] as string);
    }
    return text;
  }

  #string(prefix: string, mark: string): string {
    const kind = prefix.toLowerCase();
    if (!["", "r", "u"].includes(kind)) throw new NoLiteral(`a string with ${prefix} before it is no text`);
    const start = this.#at;
    for (let at = start; at < this.text.length; at++) {
      if (this.text.startsWith(mark, at)) {
        this.#at = at + mark.length;
        const inside = this.text.slice(start, at);
        return kind === "r" ? inside : unescaped(inside);
      }
      if (this.text[at] === "\\") at++;
      else if (this.text[at] === "\n" && mark.length === 1) break;
    }
    throw new NoLiteral("a string is not closed");
  }
}

const escapes =
  /\\(?:(\r?\n)|([\\'"abfnrtv])|([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([xuUN]))/g;
const letters: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** As Python: what is no escape stays as it is written. Pairs of \ud83d\ude00, as JSON writes them, are one character. */
function unescaped(text: string): string {
  return text.replace(escapes, (all, line, letter, octal, x, u, long, broken) => {
    if (line !== undefined) return "";
    if (letter !== undefined) return letters[letter] ?? letter;
    if (broken !== undefined) throw new NoLiteral(`a string has ${all} without its digits`);
    const code = Number.parseInt(octal ?? x ?? u ?? long, octal === undefined ? 16 : 8);
    if (code > 0x10ffff) throw new NoLiteral(`a string has ${all}, which is no character`);
    return long === undefined ? String.fromCharCode(code) : String.fromCodePoint(code);
  });
}
