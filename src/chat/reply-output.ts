import type { ToolCall } from "../tools/tool.ts";
import type { CallPiece } from "./call-splitter.ts";
import type { MalformedCall } from "./python-calls.ts";
import type { ThinkingPiece } from "./thinking.ts";

/** A piece of a reply: thought, said, or a call that is complete. */
export type ReplyPiece =
  | { readonly type: "thinking"; readonly delta: string }
  | { readonly type: "text"; readonly delta: string }
  | { readonly type: "call"; readonly call: ToolCall };

export type Piece = ThinkingPiece | CallPiece;

/** A reply's pieces added up. White space between text and calls is left out, unless more text follows. */
export class ReplyOutput {
  text = "";
  thinking = "";
  readonly calls: ToolCall[] = [];
  readonly malformedCalls: MalformedCall[] = [];
  readonly #plain: boolean;
  /** White space behind the text so far. */
  #space = "";
  /** The last piece was a call. */
  #called = false;

  /** @param plain white space is passed on as it comes */
  constructor({ plain }: { readonly plain: boolean }) {
    this.#plain = plain;
  }

  /** Adds pieces; returns what of them is certain, neighbours joined. @param final nothing comes after them */
  add(pieces: readonly Piece[], { final }: { readonly final: boolean }): ReplyPiece[] {
    const joined: ReplyPiece[] = [];
    for (const piece of pieces) {
      if (piece.type === "thinking") this.#say(piece.type, piece.delta, joined);
      else if (piece.type === "text") this.#say(piece.type, this.#certain(piece.delta), joined);
      else this.#call(piece, joined);
    }
    if (final && !this.#called) this.#say("text", this.#space, joined);
    if (final) this.#space = "";
    return joined;
  }

  #call(piece: Exclude<CallPiece, { readonly type: "text" }>, joined: ReplyPiece[]): void {
    this.#called = true;
    if (piece.type === "call") {
      this.calls.push(piece.call);
      joined.push(piece);
      return;
    }
    // Kept as lines of the text.
    this.malformedCalls.push(piece.malformed);
    const before = this.#space || (this.text === "" ? "" : "\n");
    this.#say("text", before + piece.malformed.text, joined);
    this.#space = "\n";
  }

  /** The text up to white space at its end, which waits for what follows. */
  #certain(delta: string): string {
    if (this.#plain || delta === "") return delta;
    const text = this.#space + delta;
    const certain = text.trimEnd();
    this.#space = text.slice(certain.length);
    if (certain !== "") this.#called = false;
    return certain;
  }

  #say(type: "thinking" | "text", delta: string, joined: ReplyPiece[]): void {
    if (delta === "") return;
    this[type] += delta;
    const last = joined.at(-1);
    if (last?.type === type) joined[joined.length - 1] = { type, delta: last.delta + delta };
    else joined.push({ type, delta });
  }
}
