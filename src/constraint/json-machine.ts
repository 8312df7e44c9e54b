/** The texts that are JSON of a schema: the engine of @huggingface/transformers-structured-output (engines/README.md). */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { ConstraintError } from "../errors.ts";
import { type ByteMachine, isSpace } from "./byte-machine.ts";
import { checkSchemaSize, type JsonSchema, refuseSlowPatterns } from "./json-schema.ts";
import { canBecomeNumber } from "./number-prefix.ts";

/** What we read of the engine's states. */
export interface EngineState {
  readonly mode: string;
  readonly schema: unknown;
  readonly stack: readonly EngineFrame[];
  /** A number so far. */
  readonly text?: string;
  /** A string so far, and the bytes that its last character lacks; -1: it is no UTF-8. */
  readonly bytes?: readonly number[];
  readonly stringPending?: number;
  /** true, false or null, the one that has begun. */
  readonly literal?: string;
  /** The first half of a character that was written as two escapes. */
  readonly highSurrogate?: number;
}

type EngineFrame =
  | { readonly kind: "object"; readonly entries: readonly unknown[] }
  | { readonly kind: "array"; readonly length: number };

interface EngineMachine {
  readonly initial: EngineState;
  transition(state: EngineState, byte: number): EngineState;
  viable(state: EngineState): boolean;
  accepting(state: EngineState): boolean;
  stringCapacity(state: EngineState): number | undefined;
  maskKey(state: EngineState): string | undefined;
}

interface Engine {
  /** @param longest strings with more room than this look alike to `maskKey` */
  compileJsonSchema(schema: JsonSchema, longest: number): EngineMachine;
}

const require = createRequire(import.meta.url);
const enginePath = fileURLToPath(new URL("../../dist/engines/json-schema.cjs", import.meta.url));

export type JsonMachine = ByteMachine<EngineState>;

/** Bytes of the longest token that anyone has: above this much room a string's end is out of sight. */
const longestToken = 256;

const comma = 0x2c;
/** What may stand behind it, but for u and its digits. */
const escapes = Buffer.from('"\\/bfnrt');
const letterU = 0x75;
/** DEL, a character like any other to JSON. */
const unnamed = 0x7f;

/**
 * The engine's own machine, but that a comma is followed by something (the engine lets `[1,]` pass), that numbers end,
 * and that strings stay UTF-8 (the engine sees it at their end, where it is too late).
 *
 * @throws ConstraintError where the schema is none, or has a keyword that cannot be kept while the text is made.
 */
export function jsonMachine(schema: JsonSchema): JsonMachine {
  checkSchemaSize(schema);
  refuseSlowPatterns(schema);
  const machine = compiled(schema);
  // Names of fields are strings of any kind where one may hold a character that no schema names.
  const isFreeName = ({ mode, stringPending = 0, highSurrogate }: EngineState) =>
    mode === "key-string" && stringPending === 0 && highSurrogate === undefined;
  // The digits of \u would be free, and most of them would end nowhere.
  const isOfFew = (state: EngineState) =>
    state.mode === "escape" &&
    state.highSurrogate === undefined &&
    machine.stringCapacity({ ...state, mode: "string" }) === undefined;
  // A backslash passes where one of a few strings has it later on, a word's first letter where the word may not come.
  const canGoOn = (state: EngineState) => {
    const follows = (text: Iterable<number>) => {
      let after = state;
      for (const byte of text) after = machine.transition(after, byte);
      return machine.viable(after);
    };
    if (state.mode === "literal") return follows(Buffer.from(state.literal ?? "").subarray(1));
    return (
      !/^(key-)?escape$/.test(state.mode) ||
      state.highSurrogate !== undefined ||
      escapes.some((byte) => follows([byte]))
    );
  };
  const alive = (state: EngineState) => (machine.viable(state) ? state : undefined);
  return {
    start: machine.initial,
    next(state, byte) {
      if (byte === 0x7d && state.mode === "object-key" && !isEmpty(state.stack.at(-1))) return undefined;
      if (byte === 0x5d && state.mode === "array-value" && !isEmpty(state.stack.at(-1))) return undefined;
      if (byte === letterU && isOfFew(state)) return undefined;
      if (state.mode.endsWith("unicode") && !isHalfInPlace(state, byte)) return undefined;
      const next = alive(machine.transition(state, byte));
      if (next && next.mode !== state.mode && !canGoOn(next)) return undefined;
      if (next?.mode === "number" && !canBecomeNumber(next.schema, next.text ?? "")) return undefined;
      if (!isText(state, byte, next)) return undefined;
      const stuck = byte === comma && next?.mode === "array-value" && next.schema === false;
      return stuck ? undefined : next;
    },
    isWhole: (state) => machine.accepting(state),
    isDone: (state) => state.mode === "done",
    stringRoom(state) {
      if (!isFreeName(state)) return machine.stringCapacity(state);
      return machine.viable(machine.transition(state, unnamed)) ? Number.POSITIVE_INFINITY : undefined;
    },
    key: (state) => machine.maskKey(state),
  };
}

/** Of two escapes that are one character the second follows the first, and stands nowhere else: its digits begin so. */
function isHalfInPlace({ text = "", highSurrogate }: EngineState, byte: number): boolean {
  const digits = text + String.fromCharCode(byte);
  if (digits.length === 1) return highSurrogate === undefined || /d/i.test(digits);
  return digits.length > 2 || /d[c-f]/i.test(digits) === (highSurrogate !== undefined);
}

/** The second bytes that the first ones of RFC 3629 restrict: no long forms, no surrogates, nothing above U+10FFFF. */
const seconds = new Map<number, readonly [number, number]>([
  [0xe0, [0xa0, 0xbf]],
  [0xed, [0x80, 0x9f]],
  [0xf0, [0x90, 0xbf]],
  [0xf4, [0x80, 0x8f]],
]);

/** Whether the bytes of a string are UTF-8 so far. */
function isText({ bytes = [], stringPending = 0 }: EngineState, byte: number, next?: EngineState): boolean {
  if (next?.stringPending === -1 || (stringPending > 0 && (byte & 0xc0) !== 0x80)) return false;
  const [least, most] = (stringPending > 1 && seconds.get(bytes.at(-1) ?? 0)) || [0, 0xff];
  return byte >= least && byte <= most;
}

function isEmpty(frame: EngineFrame | undefined): boolean {
  return frame?.kind === "object" ? frame.entries.length === 0 : frame?.length === 0;
}

function compiled(schema: JsonSchema): EngineMachine {
  const { compileJsonSchema } = require(enginePath) as Engine;
  try {
    return compileJsonSchema(schema, longestToken);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/\.$/, "") : String(cause);
    throw new ConstraintError("schema", reason, { cause });
  }
}

/** White space between two parts of JSON, in bytes: one line end and enough to indent, too little to write nothing else. */
const mostSpace = 40;

interface Spaced {
  readonly inner: EngineState;
  /** White space since the last part. */
  readonly spaces: number;
}

/** Whether one more byte of white space may follow so many. */
export function maySpace(spaces: number, byte: number): boolean {
  return spaces < mostSpace && (byte === 0x0a ? spaces === 0 : byte !== 0x0d);
}

/** JSON with white space, as a whole answer. */
export function jsonAnswer(schema: JsonSchema): ByteMachine<Spaced> {
  const json = jsonMachine(schema);
  return {
    start: { inner: json.start, spaces: 0 },
    next({ inner, spaces }, byte) {
      const next = json.next(inner, byte);
      if (next === undefined) return undefined;
      const between = next === inner && isSpace(byte);
      if (between && !maySpace(spaces, byte)) return undefined;
      return { inner: next, spaces: between ? spaces + 1 : 0 };
    },
    isWhole: ({ inner }) => json.isWhole(inner),
    isDone: ({ inner }) => json.isDone(inner),
    stringRoom: ({ inner }) => json.stringRoom?.(inner),
    key({ inner, spaces }) {
      const key = json.key?.(inner);
      return key === undefined ? undefined : `${spaces} ${key}`;
    },
  };
}
