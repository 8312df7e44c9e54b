/**
 * JSON of a schema, written as a Python literal: what src/chat/python-literal.ts reads as the same value. Python's words
 * (True, False, None), either quote and Python's escapes are turned into JSON's for the schema's machine.
 */
import { walk } from "./byte-machine.ts";
import type { EngineState, JsonMachine } from "./json-machine.ts";

export interface PythonState {
  readonly json: EngineState;
  /** The quote of the string we are in, and how far an escape in it has come: `\` is open, or so many digits are to come. */
  readonly quote?: number;
  readonly escaped?: "open" | number;
  /** What is left of None. */
  readonly word?: string;
  /** White space since the last part. */
  readonly spaces?: number;
}

const quotes: readonly number[] = [0x22, 0x27];
const backslash = 0x5c;
const apostrophe = 0x27;
const space = 0x20;

/** Behind a backslash: what JSON writes for it. */
const escapes = new Map<string, string>([
  ...["\\", '"', "b", "f", "n", "r", "t"].map((letter) => [letter, `\\${letter}`] as const),
  ["'", "'"],
  ["a", "\\u0007"],
  ["v", "\\u000b"],
]);
/** Escapes that Python reads and JSON has no short form for; digits are octal. */
const refused = new Set([..."01234567UNxu\n\r"]);

/** The state after one more byte; undefined where no literal of the schema goes on so. */
export function nextOfLiteral(
  machine: JsonMachine,
  state: PythonState,
  byte: number,
): PythonState | undefined {
  const { json, quote, escaped, word } = state;
  const feed = (text: string, rest: Omit<PythonState, "json"> = {}): PythonState | undefined => {
    const next = walk(machine, json, text);
    return next && { json: next, ...rest };
  };
  const character = String.fromCharCode(byte);
  if (word !== undefined) {
    if (!word.startsWith(character)) return undefined;
    return word.length === 1 ? { json } : { json, word: word.slice(1) };
  }
  if (quote === undefined) return outside(machine, state, byte, feed);
  if (escaped === "open") {
    if (byte >= 0x7f || byte < 0x20) return undefined;
    const json = escapes.get(character);
    if (json !== undefined) return feed(json, { quote });
    if (character === "u") return feed("\\u", { quote, escaped: 4 });
    if (character === "x") return feed("\\u00", { quote, escaped: 2 });
    return refused.has(character) ? undefined : feed(`\\\\${character}`, { quote });
  }
  if (escaped !== undefined) {
    return feed(character, { quote, ...(escaped > 1 && { escaped: escaped - 1 }) });
  }
  if (byte === quote) return feed('"');
  if (byte === backslash) {
    const mayFollow = machine.next(json, backslash) ?? machine.next(json, apostrophe);
    return mayFollow && { json, quote, escaped: "open" };
  }
  if (byte === 0x22) return feed('\\"', { quote });
  if (byte < 0x20) return undefined;
  const next = machine.next(json, byte);
  return next && { json: next, quote };
}

function outside(
  machine: JsonMachine,
  { json, spaces = 0 }: PythonState,
  byte: number,
  feed: (text: string, rest?: Omit<PythonState, "json">) => PythonState | undefined,
): PythonState | undefined {
  if (quotes.includes(byte)) return feed('"', { quote: byte });
  if (byte === space) return spaces === 0 && json.mode !== "number" ? feed(" ", { spaces: 1 }) : undefined;
  if (byte < 0x20) return undefined;
  const letter = String.fromCharCode(byte);
  if (letter === "T") return feed("t");
  if (letter === "F") return feed("f");
  if (letter === "N") return feed("null", { word: "one" });
  const next = machine.next(json, byte);
  return next && isWritable(next) ? { json: next } : undefined;
}

/** Whether our parser takes the number so far: at most 15 digits, so that integers stay exact, and an exponent of 2. */
function isWritable({ mode, text }: EngineState): boolean {
  if (mode !== "number" || text === undefined) return true;
  const [digits = "", exponent = ""] = text.replace(/[-+.]/g, "").split(/e/i);
  return digits.length <= 15 && exponent.length <= 2;
}

export function literalKey(machine: JsonMachine, state: PythonState): string | undefined {
  const key = machine.key?.(state.json);
  const { quote = "", escaped = "", word = "", spaces = "" } = state;
  return key === undefined ? undefined : `${quote} ${escaped} ${word} ${spaces} ${key}`;
}

export function literalRoom(machine: JsonMachine, { json, quote, escaped }: PythonState): number | undefined {
  return quote === undefined || escaped !== undefined ? undefined : machine.stringRoom?.(json);
}
