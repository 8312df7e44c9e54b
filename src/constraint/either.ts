import type { ByteMachine } from "./byte-machine.ts";

/** What is left of both: undefined where it has died. */
interface Both<A, B> {
  readonly a: A | undefined;
  readonly b: B | undefined;
}

/** The texts of two machines. */
export function either<A, B>(one: ByteMachine<A>, other: ByteMachine<B>): ByteMachine<Both<A, B>> {
  return {
    start: { a: one.start, b: other.start },
    next(state, byte) {
      const a = state.a === undefined ? undefined : one.next(state.a, byte);
      const b = state.b === undefined ? undefined : other.next(state.b, byte);
      return a === undefined && b === undefined ? undefined : { a, b };
    },
    isWhole: ({ a, b }) => (a !== undefined && one.isWhole(a)) || (b !== undefined && other.isWhole(b)),
    isDone({ a, b }) {
      return (a === undefined || one.isDone(a)) && (b === undefined || other.isDone(b));
    },
    stringRoom({ a, b }) {
      if (a !== undefined && b !== undefined) return undefined;
      return a === undefined ? b && other.stringRoom?.(b) : one.stringRoom?.(a);
    },
    key({ a, b }) {
      if (a !== undefined && b !== undefined) return undefined;
      const key = a === undefined ? b && other.key?.(b) : one.key?.(a);
      return key === undefined ? undefined : `${a === undefined ? "b" : "a"} ${key}`;
    },
  };
}
