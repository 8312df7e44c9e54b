/** Answers of a model that may call functions: text and blocks of calls. */
import { type ByteMachine, isSpace } from "./byte-machine.ts";
import { Tag, type Tags } from "./tag.ts";

type State<Calls> =
  /** Text, whose last `held` bytes are the beginning of the tag that opens a block. */
  | { readonly at: "text"; readonly held: number }
  /** Where a block has to begin. */
  | { readonly at: "opening"; readonly held: number; readonly spaces: number }
  | { readonly at: "calls"; readonly calls: Calls }
  /** Behind a block, whose like may follow or not; the first `held` bytes of the next one's tag are there. */
  | { readonly at: "closed"; readonly held: number; readonly spaces: number };

/** White space before and behind a block where nothing else may stand, in bytes. */
const mostSpace = 4;

/** Any text without a block of calls. */
export function textWithoutCalls({ start }: Tags): ByteMachine<number> {
  const tag = new Tag(start);
  return {
    start: 0,
    next(held, byte) {
      const now = tag.after(held, byte);
      return now === tag.length ? undefined : now;
    },
    isWhole: () => true,
    isDone: () => false,
    key: (held) => `text ${held}`,
  };
}

/** Any text; where a block of calls is opened in it, calls of `calls` stand there. */
export function textWithCalls<Calls>({ start }: Tags, calls: ByteMachine<Calls>): ByteMachine<State<Calls>> {
  return machine({ at: "text", held: 0 }, new Tag(start), calls, () => ({ at: "text", held: 0 }));
}

/** One block of calls, or several with white space between them; nothing else. */
export function callsOnly<Calls>(
  { start }: Tags,
  calls: ByteMachine<Calls>,
  { several = false }: { readonly several?: boolean } = {},
): ByteMachine<State<Calls>> {
  const opening = { at: "opening", held: 0, spaces: 0 } as const;
  return machine(opening, new Tag(start), calls, () => ({ at: "closed", held: 0, spaces: 0 }), several);
}

function machine<Calls>(
  start: State<Calls>,
  tag: Tag,
  calls: ByteMachine<Calls>,
  behind: () => State<Calls>,
  several = true,
): ByteMachine<State<Calls>> {
  const opened: State<Calls> = { at: "calls", calls: calls.start };
  return {
    start,
    next(state, byte) {
      switch (state.at) {
        case "text": {
          const held = tag.after(state.held, byte);
          return held === tag.length ? opened : { at: "text", held };
        }
        case "opening":
        case "closed": {
          if (state.held === 0 && isSpace(byte)) {
            return state.spaces < mostSpace ? { ...state, spaces: state.spaces + 1 } : undefined;
          }
          if (!tag.continues(state.held, byte) || (state.at === "closed" && !several)) return undefined;
          return state.held + 1 === tag.length ? opened : { ...state, held: state.held + 1 };
        }
        case "calls": {
          const next = calls.next(state.calls, byte);
          if (next === undefined) return undefined;
          return calls.isDone(next) ? behind() : { at: "calls", calls: next };
        }
      }
    },
    isWhole: (state) => state.at === "text" || (state.at === "closed" && state.held === 0),
    isDone: (state) => state.at === "closed" && state.spaces === mostSpace && !several,
    stringRoom: (state) => (state.at === "calls" ? calls.stringRoom?.(state.calls) : undefined),
    key(state) {
      if (state.at === "calls") return calls.key?.(state.calls);
      return state.at === "text" ? `text ${state.held}` : `${state.at} ${state.spaces} ${state.held}`;
    },
  };
}
