/** A tokenizer's tokens as byte strings, in a tree: what a machine over bytes says becomes a mask over tokens. */
import { isUtf8 } from "node:buffer";
import { allow, maskWords } from "./constraint.ts";

export interface VocabularySource {
  /** Logits the model has; ids beyond the tokenizer's own are never allowed. */
  readonly vocabSize: number;
  /** Tokens that end an answer. */
  readonly stopTokens: Int32Array;
  /** What a token writes; undefined for one that shows no text. */
  bytes(token: number): Uint8Array | undefined;
  /** The token is a byte that stands in where the vocabulary has no piece: `<0x0A>`. */
  isFallback(token: number): boolean;
}

/** Where a tree begins. */
export const root = 0;

/**
 * A tree over some tokens' bytes in flat arrays: node n is reached by `byte[n]`, its first child is `child[n]`, the next
 * child of its parent `sibling[n]`, the token that ends there `token[n]`; -1 is none.
 */
export interface TokenTree {
  readonly byte: Uint8Array;
  readonly child: Int32Array;
  readonly sibling: Int32Array;
  readonly token: Int32Array;
}

/** Tokens that are plain text inside any string: no quote, backslash, `<`, `&` or control character, whole characters. */
interface PlainTokens {
  readonly mask: Uint32Array;
  /** Characters of each token; 0 where it is not plain. */
  readonly characters: Uint8Array;
  readonly longest: number;
}

export class Vocabulary {
  readonly vocabSize: number;
  readonly stopTokens: Int32Array;
  /** All tokens. */
  readonly all: TokenTree;
  /** Those that are not plain. */
  readonly notPlain: TokenTree;
  readonly #bytes: (Uint8Array | undefined)[];
  readonly #plain: PlainTokens;
  readonly #shorter = new Map<number, Uint32Array>();

  constructor(source: VocabularySource) {
    this.vocabSize = source.vocabSize;
    this.stopTokens = source.stopTokens;
    this.#bytes = canonical(source);
    this.#plain = plainTokens(this.#bytes);
    this.all = tree(this.#bytes, () => true);
    this.notPlain = tree(this.#bytes, (token) => this.#plain.characters[token] === 0);
  }

  /** The bytes that count for a token; undefined where it can never come: another token writes the same, or nothing. */
  bytes(token: number): Uint8Array | undefined {
    return this.#bytes[token];
  }

  /** A mask of the plain tokens of at most `room` characters. Not to be changed. */
  plain(room: number): Uint32Array {
    const { mask, characters, longest } = this.#plain;
    if (room >= longest) return mask;
    let shorter = this.#shorter.get(room);
    if (!shorter) {
      shorter = new Uint32Array(mask.length);
      for (const [token, count] of characters.entries()) {
        if (count > 0 && count <= room) allow(shorter, token);
      }
      this.#shorter.set(room, shorter);
    }
    return shorter;
  }
}

/**
 * Of tokens that write the same bytes one counts, the one that a tokenizer writes: a piece before a byte that stands in
 * for a missing one, the lower id before the higher.
 */
function canonical({
  vocabSize,
  stopTokens,
  bytes,
  isFallback,
}: VocabularySource): (Uint8Array | undefined)[] {
  const chosen = new Map<string, number>();
  const all = Array.from({ length: vocabSize }, (_, token) => {
    const found = stopTokens.includes(token) ? undefined : bytes(token);
    if (!found || found.length === 0) return undefined;
    const text = Buffer.from(found).toString("latin1");
    const other = chosen.get(text);
    if (other === undefined || (isFallback(other) && !isFallback(token))) chosen.set(text, token);
    return found;
  });
  const kept = new Set(chosen.values());
  return all.map((found, token) => (kept.has(token) ? found : undefined));
}

function plainTokens(all: readonly (Uint8Array | undefined)[]): PlainTokens {
  const mask = new Uint32Array(maskWords(all.length));
  const characters = new Uint8Array(all.length);
  let longest = 0;
  for (const [token, bytes] of all.entries()) {
    if (!bytes || !isPlain(bytes)) continue;
    const count = bytes.reduce((sum, byte) => sum + ((byte & 0xc0) === 0x80 ? 0 : 1), 0);
    if (count > 255) continue;
    characters[token] = count;
    longest = Math.max(longest, count);
    allow(mask, token);
  }
  return { mask, characters, longest };
}

/** What ends a string, or stands for something else in one: `"`, `&`, `'`, `<`, `\\`. */
const special = new Set([0x22, 0x26, 0x27, 0x3c, 0x5c]);

function isPlain(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte >= 0x20 && !special.has(byte)) && isUtf8(bytes);
}

function tree(all: readonly (Uint8Array | undefined)[], wanted: (token: number) => boolean): TokenTree {
  const most = all.reduce((sum, bytes, token) => sum + (bytes && wanted(token) ? bytes.length : 0), 1);
  const flat: TokenTree = {
    byte: new Uint8Array(most),
    child: new Int32Array(most).fill(-1),
    sibling: new Int32Array(most).fill(-1),
    token: new Int32Array(most).fill(-1),
  };
  let count = 1;
  for (const [token, bytes] of all.entries()) {
    if (!bytes || !wanted(token)) continue;
    let node = root;
    for (const byte of bytes) {
      let child = flat.child[node] as number;
      while (child >= 0 && flat.byte[child] !== byte) child = flat.sibling[child] as number;
      if (child < 0) {
        child = count++;
        flat.byte[child] = byte;
        flat.sibling[child] = flat.child[node] as number;
        flat.child[node] = child;
      }
      node = child;
    }
    flat.token[node] = token;
  }
  return flat;
}
