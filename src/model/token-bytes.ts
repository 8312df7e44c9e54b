/** Token -> bytes -> text. The bytes of tokens, laid one after another, are the text's UTF-8. */
import type { DecoderRules } from "./decoder-rules.ts";

/** GPT-2's character for each byte: itself where it is printable, else 256 and on, in order. */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

const characterBytes = new Map(byteCharacters.map((character, byte) => [character, byte]));

/** The bytes that a token of the vocabulary stands for, before any stripping at the text's start. */
export function tokenBytes(token: string, rules: DecoderRules): Uint8Array {
  let text = token;
  for (const [from, to] of rules.replacements) text = text.replaceAll(from, to);
  if (rules.byteFallback) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(text)?.[1];
    if (byte) return Uint8Array.of(Number.parseInt(byte, 16));
  }
  if (rules.byteLevel) {
    const bytes = Array.from(text, (character) => characterBytes.get(character));
    if (!bytes.includes(undefined)) return Uint8Array.from(bytes as number[]);
  }
  return Buffer.from(text, "utf8");
}

/** Where a stream's bytes come from. */
export interface TokenTable {
  readonly stripStart: boolean;
  /** The bytes of a token, or undefined for one that shows no text. */
  shown(id: number): Uint8Array | undefined;
}

/**
 * Turns tokens into text as they come. All text returned so far, joined, is what decoding all tokens at once gives:
 * characters are held back until their UTF-8 is whole, bytes that are none become U+FFFD.
 */
export class TokenStream {
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  private strips: boolean;

  /** @param continued the tokens go on from earlier text: a space at the start stays. */
  constructor(
    private readonly table: TokenTable,
    { continued = false }: { readonly continued?: boolean } = {},
  ) {
    this.strips = table.stripStart && !continued;
  }

  /** The text that these tokens complete; may be empty. */
  push(...tokens: readonly number[]): string {
    return this.pushAll(tokens);
  }

  /** As `push`, for many tokens. */
  pushAll(tokens: Iterable<number>): string {
    let text = "";
    for (const id of tokens) {
      let bytes = this.table.shown(id);
      if (!bytes || bytes.length === 0) continue;
      if (this.strips && bytes[0] === 0x20) bytes = bytes.subarray(1);
      this.strips = false;
      text += this.decoder.decode(bytes, { stream: true });
    }
    return text;
  }

  /** What was held back, at the end. The stream starts over as a continuation. */
  end(): string {
    return this.decoder.decode();
  }
}
