/** What an answer has to be, token by token: the interface between the engines here and the step loop. */

/**
 * Which token may come next. Tokens are tried (`accept`) far more often than masks are made (`fill`): the loop samples
 * freely first and asks for a mask only when the winner is refused.
 */
export interface Constraint {
  /**
   * Takes a token where it may come next; false where it may not, and nothing has changed then. Stop tokens may come
   * where the text is complete, and end it.
   */
  accept(token: number): boolean;
  /**
   * Sets bit t of word t / 32 for every token t that may come next, clears all others. The same tokens as `accept` takes.
   *
   * @param mask `[ceil(vocabulary / 32)]`
   */
  fill(mask: Uint32Array): void | Promise<void>;
  /** Tokens that have to come next, at most `limit`, as far as they are known: each is the only one allowed where it stands. */
  forced(limit: number): number[];
  /** Takes back the last `count` tokens. */
  rollback(count: number): void;
  /** Another constraint that has taken the same tokens and goes its own way. */
  fork(): Constraint | Promise<Constraint>;
  /** The text is complete and nothing but a stop token can follow. */
  readonly isDone: boolean;
  /** The text could end here: what was taken so far is whole. */
  readonly isWhole: boolean;
  /** Frees what the engine holds. A second call does nothing. */
  dispose(): void;
}

/** Words of a mask over `vocabSize` tokens. */
export function maskWords(vocabSize: number): number {
  return Math.ceil(vocabSize / 32);
}

export function allow(mask: Uint32Array, token: number): void {
  mask[token >>> 5] = (mask[token >>> 5] as number) | (1 << (token & 31));
}

export function isAllowed(mask: Uint32Array, token: number): boolean {
  return (((mask[token >>> 5] ?? 0) >>> (token & 31)) & 1) === 1;
}
