import { type ByteMachine, isSpace } from "./byte-machine.ts";
import { Tag, type Tags } from "./tag.ts";

export interface ThoughtOptions {
  /** Thoughts that the answer may begin with. Empty: it may not think. */
  readonly tags: readonly Tags[];
  /** The tag that ends a thought which the prompt has opened: the answer begins inside of it. */
  readonly opened?: string | undefined;
}

/** White space around a thought that is left out of account, in bytes. */
const mostSpace = 4;

type State<Body> =
  /** Both may still come: `body` where the bytes so far are one's beginning, `tags` where they are a tag's. */
  | {
      readonly at: "start";
      readonly body: Body | undefined;
      readonly tags: readonly Opening[];
      readonly held: number;
      readonly spaces: number;
    }
  | { readonly at: "thought"; readonly end: Tag; readonly held: number }
  | { readonly at: "gap"; readonly spaces: number }
  | { readonly at: "body"; readonly body: Body };

interface Opening {
  readonly start: Tag;
  readonly end: Tag;
}

/** The texts of `body`, with a thought before them that is free up to the tag that ends it. */
export function afterThought<Body>(
  body: ByteMachine<Body>,
  { tags, opened }: ThoughtOptions,
): ByteMachine<State<Body>> {
  const openings = tags.map(({ start, end }) => ({ start: new Tag(start), end: new Tag(end) }));
  const start: State<Body> =
    opened === undefined
      ? { at: "start", body: body.start, tags: openings, held: 0, spaces: 0 }
      : { at: "thought", end: new Tag(opened), held: 0 };

  const inBody = (state: Body | undefined): State<Body> | undefined =>
    state === undefined ? undefined : { at: "body", body: state };

  const begin = (state: Extract<State<Body>, { at: "start" }>, byte: number): State<Body> | undefined => {
    const next = state.body === undefined ? undefined : body.next(state.body, byte);
    if (state.held === 0 && isSpace(byte)) {
      if (state.spaces === mostSpace || state.tags.length === 0) return inBody(next);
      return { ...state, body: next, spaces: state.spaces + 1 };
    }
    const left = state.tags.filter(({ start }) => start.continues(state.held, byte));
    const whole = left.find(({ start }) => start.length === state.held + 1);
    if (whole) return { at: "thought", end: whole.end, held: 0 };
    return left.length === 0 ? inBody(next) : { ...state, body: next, tags: left, held: state.held + 1 };
  };

  return {
    start,
    next(state, byte) {
      switch (state.at) {
        case "start":
          return begin(state, byte);
        case "thought": {
          const held = state.end.after(state.held, byte);
          return held === state.end.length ? { at: "gap", spaces: 0 } : { ...state, held };
        }
        case "gap":
          if (isSpace(byte) && state.spaces < mostSpace) return { at: "gap", spaces: state.spaces + 1 };
          return inBody(body.next(body.start, byte));
        case "body":
          return inBody(body.next(state.body, byte));
      }
    },
    isWhole(state) {
      if (state.at === "gap") return body.isWhole(body.start);
      return "body" in state && state.body !== undefined && body.isWhole(state.body);
    },
    isDone: (state) => state.at === "body" && body.isDone(state.body),
    stringRoom: (state) => (state.at === "body" ? body.stringRoom?.(state.body) : undefined),
    key(state) {
      if (state.at === "thought") return `thought ${state.end.text} ${state.held}`;
      return state.at === "body" ? body.key?.(state.body) : undefined;
    },
  };
}
