/**
 * A language as an automaton over UTF-8 bytes. States are values that never change, so that going back and forking cost
 * nothing.
 */
export interface ByteMachine<State> {
  readonly start: State;
  /** The state after one more byte; undefined where no text of the language goes on so. */
  next(state: State, byte: number): State | undefined;
  /** The text so far is of the language. */
  isWhole(state: State): boolean;
  /** It is, and only white space could follow. */
  isDone(state: State): boolean;
  /**
   * Inside a string where any plain text may come: how many characters of it, possibly Infinity. Plain text has no
   * quotes, backslashes, `<`, `&` and control characters. Undefined elsewhere: byte by byte then.
   */
  stringRoom?(state: State): number | undefined;
  /** States of one key allow the same bytes from here on. Undefined: not worth remembering. */
  key?(state: State): string | undefined;
}

/** A machine whose states are nobody else's business. */
// biome-ignore lint/suspicious/noExplicitAny: the state goes in where it came out
export type AnyMachine = ByteMachine<any>;

/** The state after all bytes of a text; undefined where it dies on the way. */
export function walk<State>(machine: ByteMachine<State>, from: State, text: string): State | undefined {
  let state: State | undefined = from;
  for (const byte of Buffer.from(text, "utf8")) {
    state = machine.next(state, byte);
    if (state === undefined) return undefined;
  }
  return state;
}

/** The text's UTF-8, a character a byte. */
export function latin1(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** Space, tab, line feed, carriage return. */
export function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
