/** The texts around a part of an answer: a thought, or a block of calls. */
export interface Tags {
  readonly start: string;
  readonly end: string;
}

/** Finds one text in bytes that come one after another, after Knuth, Morris and Pratt. */
export class Tag {
  readonly #bytes: Uint8Array;
  readonly #fallback: readonly number[];

  constructor(readonly text: string) {
    this.#bytes = Buffer.from(text, "utf8");
    const fallback = [0];
    for (let at = 1, held = 0; at < this.#bytes.length; at++) {
      while (held > 0 && this.#bytes[at] !== this.#bytes[held]) held = fallback[held - 1] as number;
      if (this.#bytes[at] === this.#bytes[held]) held++;
      fallback.push(held);
    }
    this.#fallback = fallback;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** How many of the tag's bytes the text ends with after `byte`, where it ended with `held` before; `length`: found. */
  after(held: number, byte: number): number {
    let now = held;
    while (now > 0 && this.#bytes[now] !== byte) now = this.#fallback[now - 1] as number;
    return this.#bytes[now] === byte ? now + 1 : now;
  }

  /** Whether `byte` goes on with the tag at `held`, nothing else before it. */
  continues(held: number, byte: number): boolean {
    return this.#bytes[held] === byte;
  }
}
