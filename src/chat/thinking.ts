import { StopMatcher } from "./stop-matcher.ts";

/** The tags around a thought: MiniCPM4.1's and many other models', and MiniCPM4's beside tool calls. */
export const thoughtTags = [
  { start: "<think>", end: "</think>" },
  { start: "<|thought_start|>", end: "<|thought_end|>" },
] as const;

/** The tag that closes the thought which a prompt opens at its end; undefined where it opens none. */
export function openedThought(prompt: string): string | undefined {
  const text = prompt.trimEnd();
  return thoughtTags.find(({ start }) => text.endsWith(start))?.end;
}

/** A piece of a reply: thought or said. */
export type ThinkingPiece =
  | { readonly type: "thinking"; readonly delta: string }
  | { readonly type: "text"; readonly delta: string };

/**
 * Splits a reply that is still arriving into what the model thought, between tags at its start, and what it
 * says. White space around both parts is left out where there is a thought; without one the text is passed as it is.
 */
export class ThinkingSplitter {
  #state: "start" | "thinking" | "gap" | "text";
  /** Not passed on yet: the start of the reply, or white space that may end the thought. */
  #held = "";
  #thought = false;
  #end: StopMatcher;
  #seen = 0;
  #textStart = 0;

  /** @param opened the tag that ends a thought which the prompt has opened: the reply begins inside. */
  constructor(opened?: string) {
    this.#state = opened === undefined ? "start" : "thinking";
    this.#end = new StopMatcher([opened ?? thoughtTags[0].end]);
  }

  /** Characters of the reply before its text; meaningful once there is text. */
  get textStart(): number {
    return this.#textStart;
  }

  push(piece: string): ThinkingPiece[] {
    this.#seen += piece.length;
    const pieces: ThinkingPiece[] = [];
    let rest = piece;
    if (this.#state === "start") rest = this.#start(rest);
    if (this.#state === "thinking") rest = this.#think(rest, pieces);
    if (this.#state === "gap") rest = this.#gap(rest);
    if (this.#state === "text" && rest !== "") pieces.push({ type: "text", delta: rest });
    return pieces;
  }

  /** No more comes: returns what was held back. */
  end(): ThinkingPiece[] {
    const pieces: ThinkingPiece[] = [];
    if (this.#state === "start" && this.#held !== "") pieces.push({ type: "text", delta: this.#held });
    if (this.#state === "thinking") this.#passThought(this.#end.end(), pieces);
    return pieces;
  }

  /** Waits until it is clear whether the reply begins with a tag; returns what comes after that is clear. */
  #start(piece: string): string {
    this.#held += piece;
    const reply = this.#held.trimStart();
    if (thoughtTags.some(({ start }) => reply.length < start.length && start.startsWith(reply))) return "";
    const rest = this.#held;
    this.#held = "";
    const tag = thoughtTags.find(({ start }) => reply.startsWith(start));
    if (tag) {
      this.#state = "thinking";
      this.#end = new StopMatcher([tag.end]);
      return reply.slice(tag.start.length);
    }
    this.#state = "text";
    return rest;
  }

  #think(piece: string, pieces: ThinkingPiece[]): string {
    this.#passThought(this.#end.push(piece), pieces);
    if (!this.#end.matched) return "";
    this.#state = "gap";
    return this.#end.rest;
  }

  #passThought(text: string, pieces: ThinkingPiece[]): void {
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
