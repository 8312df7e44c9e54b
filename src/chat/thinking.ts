import { StopMatcher } from "./stop-matcher.ts";

export const thinkStart = "<think>";
export const thinkEnd = "</think>";

/** A piece of a reply: thought or said. */
export interface ReplyPiece {
  readonly type: "thinking" | "text";
  readonly delta: string;
}

/**
 * Splits a reply that is still arriving into what the model thought, `<think>...</think>` at its start, and what it
 * says. White space around both parts is left out where there is a thought; without one the text is passed as it is.
 */
export class ThinkingSplitter {
  #state: "start" | "thinking" | "gap" | "text";
  /** Not passed on yet: the start of the reply, or white space that may end the thought. */
  #held = "";
  #thought = false;
  readonly #end = new StopMatcher([thinkEnd]);
  #seen = 0;
  #textStart = 0;

  /** @param opened the prompt ends with `<think>`, so that the reply begins inside. */
  constructor({ opened }: { readonly opened: boolean }) {
    this.#state = opened ? "thinking" : "start";
  }

  /** Characters of the reply before its text; meaningful once there is text. */
  get textStart(): number {
    return this.#textStart;
  }

  push(piece: string): ReplyPiece[] {
    this.#seen += piece.length;
    const pieces: ReplyPiece[] = [];
    let rest = piece;
    if (this.#state === "start") rest = this.#start(rest);
    if (this.#state === "thinking") rest = this.#think(rest, pieces);
    if (this.#state === "gap") rest = this.#gap(rest);
    if (this.#state === "text" && rest !== "") pieces.push({ type: "text", delta: rest });
    return pieces;
  }

  /** No more comes: returns what was held back. */
  end(): ReplyPiece[] {
    const pieces: ReplyPiece[] = [];
    if (this.#state === "start" && this.#held !== "") pieces.push({ type: "text", delta: this.#held });
    if (this.#state === "thinking") this.#passThought(this.#end.end(), pieces);
    return pieces;
  }

  /** Waits until it is clear whether the reply begins with `<think>`; returns what comes after that is clear. */
  #start(piece: string): string {
    this.#held += piece;
    const reply = this.#held.trimStart();
    if (reply.length < thinkStart.length && thinkStart.startsWith(reply)) return "";
    const rest = this.#held;
    this.#held = "";
    if (reply.startsWith(thinkStart)) {
      this.#state = "thinking";
      return reply.slice(thinkStart.length);
    }
    this.#state = "text";
    return rest;
  }

  #think(piece: string, pieces: ReplyPiece[]): string {
    this.#passThought(this.#end.push(piece), pieces);
    if (!this.#end.matched) return "";
    this.#state = "gap";
    return this.#end.rest;
  }

  #passThought(text: string, pieces: ReplyPiece[]): void {
    const all = this.#thought ? this.#held + text : text.trimStart();
    const delta = all.trimEnd();
    this.#held = all.slice(delta.length);
    if (delta === "") return;
    this.#thought = true;
    pieces.push({ type: "thinking", delta });
  }

  #gap(piece: string): string {
    const rest = piece.trimStart();
    if (rest !== "") {
      this.#state = "text";
      this.#textStart = this.#seen - rest.length;
    }
    return rest;
  }
}
