import { OptionError } from "../errors.ts";

/**
 * Ends a text before the first stop text in it, while the text is still arriving. The first is the one that is complete
 * first; of those complete at the same place, the longest. How the text is cut into pieces makes no difference.
 */
export class StopMatcher {
  readonly #stops: readonly string[];
  /** The end of what was pushed, while it may still become a stop text. */
  #held = "";
  #passed = 0;
  #rest: string | undefined;

  /** @throws OptionError for what is no list of texts, or an empty one in it. */
  constructor(stops: readonly string[]) {
    if (!Array.isArray(stops)) throw new OptionError("stop", "a list of texts", stops);
    for (const stop of stops) {
      if (typeof stop !== "string" || stop === "")
        throw new OptionError("stop", "texts that are not empty", stop);
    }
    this.#stops = stops;
  }

  /** A stop text came; nothing more passes. */
  get matched(): boolean {
    return this.#rest !== undefined;
  }

  /** Characters that passed, all together: where the stop text begins, if there was one. */
  get passed(): number {
    return this.#passed;
  }

  /** What was pushed after the stop text, in the same piece. */
  get rest(): string {
    return this.#rest ?? "";
  }

  /** Takes a piece; returns the text that certainly belongs to no stop text. */
  push(piece: string): string {
    if (this.matched) return "";
    const text = this.#held + piece;
    const match = this.#firstMatch(text);
    if (match) {
      this.#held = "";
      this.#rest = text.slice(match.end);
      return this.#pass(text.slice(0, match.start));
    }
    const safe = text.length - this.#longestBeginning(text);
    this.#held = text.slice(safe);
    return this.#pass(text.slice(0, safe));
  }

  /** No more comes: returns what was held back. */
  end(): string {
    const held = this.#held;
    this.#held = "";
    return this.#pass(held);
  }

  #pass(text: string): string {
    this.#passed += text.length;
    return text;
  }

  #firstMatch(text: string): { start: number; end: number } | undefined {
    let first: { start: number; end: number } | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      if (!first || end < first.end || (end === first.end && start < first.start)) first = { start, end };
    }
    return first;
  }

  /** Length of the longest end of `text` that a stop text begins with. */
  #longestBeginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
