/**
 * Calls as MiniCPM4 writes them, a line each and in Python's syntax, of the functions that are offered:
 *
 *     get_weather(city="Oslo",days=[1, 2])
 *
 * The arguments are one JSON object to the schema's machine: `(` is its `{`, `city=` its `"city":`, `)` its `}`, so that
 * required, dependent and excluded parameters are what the schema says.
 */
import { type ByteMachine, latin1, walk } from "./byte-machine.ts";
import { type Callable, type PreparedCallable, prepareCallable } from "./callable.ts";
import { literalKey, literalRoom, nextOfLiteral, type PythonState } from "./python-value.ts";

export interface CallsOptions {
  /** The text that ends the block. */
  readonly end: string;
  /** Most calls in a block. Default: no limit. */
  readonly most?: number;
}

/** What can stand before the `=` of an argument: the source of a regular expression with flag `u`. */
export const parameterNamePattern = String.raw`[\p{L}_][\p{L}\p{M}\p{N}_-]*`;
const parameterName = new RegExp(`^${parameterNamePattern}$`, "u");

const fence = "```python\n";
const closingFence = "```\n";
/** White space before the first line, in bytes. */
const mostSpace = 2;

interface Block {
  /** Calls that are complete. */
  readonly calls: number;
  readonly fenced: boolean;
}

export type PythonCallState =
  /** A line's beginning: `text` of it is there, all of it the beginning of what may stand here. */
  | ({ readonly at: "line"; readonly text: string; readonly spaces: number } & Block)
  /** Inside the brackets, where a parameter's name is being written. */
  | ({ readonly at: "name"; readonly tool: PreparedCallable; readonly text: string } & Arguments & Block)
  /** Behind a `=`. */
  | ({ readonly at: "value"; readonly tool: PreparedCallable; readonly value: PythonState } & Pick<
      Arguments,
      "given"
    > &
      Block)
  /** Behind the `)`. */
  | ({ readonly at: "called" } & Block)
  /** The end has come. */
  | { readonly at: "end" };

interface Arguments {
  readonly json: PythonState["json"];
  readonly given: readonly string[];
  /** A comma was before, and perhaps a space. */
  readonly after?: "comma" | "space";
}

/**
 * The blocks of calls from behind `<|tool_call_start|>` to the end of `<|tool_call_end|>`, at least one call in each.
 *
 * @throws ConstraintError naming the tool that cannot be called so.
 */
export function pythonCallMachine(
  tools: readonly Callable[],
  { end, most }: CallsOptions,
): ByteMachine<PythonCallState> {
  const prepared = tools.map((tool) => prepareCallable(tool, (name) => parameterName.test(name)));
  // Text is compared as Latin-1 of its UTF-8: a character a byte.
  const heads = new Map(prepared.map((tool) => [`${latin1(tool.name)}(`, tool]));
  const endText = latin1(end);

  const line = (
    state: Extract<PythonCallState, { at: "line" }>,
    byte: number,
  ): PythonCallState | undefined => {
    const { text, spaces, calls, fenced } = state;
    const block = { calls, fenced };
    const character = String.fromCharCode(byte);
    if (text === "" && calls === 0 && !fenced && (character === "\n" || character === " ")) {
      return spaces < mostSpace ? { ...state, spaces: spaces + 1 } : undefined;
    }
    const now = text + character;
    if (calls === 0 && !fenced && now === fence)
      return { at: "line", text: "", spaces: 0, calls, fenced: true };
    const closing = fenced ? closingFence + endText : endText;
    if (calls > 0 && now === closing) return { at: "end" };
    const mayCall = most === undefined || calls < most;
    const tool = mayCall ? heads.get(now) : undefined;
    if (tool) {
      const json = walk(tool.json, tool.json.start, "{");
      return json && { at: "name", tool, text: "", json, given: [], ...block };
    }
    const goesOn =
      (calls === 0 && !fenced && fence.startsWith(now)) ||
      (calls > 0 && closing.startsWith(now)) ||
      (mayCall && [...heads.keys()].some((head) => head.startsWith(now)));
    return goesOn ? { ...state, text: now } : undefined;
  };

  const name = (
    state: Extract<PythonCallState, { at: "name" }>,
    byte: number,
  ): PythonCallState | undefined => {
    const { tool, text, json, given, after, calls, fenced } = state;
    const character = String.fromCharCode(byte);
    if (text === "" && character === " " && after === "comma") return { ...state, after: "space" };
    if (text === "" && character === ")" && after === undefined) {
      return walk(tool.json, json, "}") && { at: "called", calls: calls + 1, fenced };
    }
    const left = tool.parameters.filter((one) => !given.includes(one));
    if (character === "=") {
      const parameter = left.find((one) => latin1(one) === text);
      const value =
        parameter === undefined ? undefined : walk(tool.json, json, `${JSON.stringify(parameter)}:`);
      if (parameter === undefined || value === undefined) return undefined;
      return { at: "value", tool, value: { json: value }, given: [...given, parameter], calls, fenced };
    }
    const now = text + character;
    return left.some((one) => latin1(one).startsWith(now)) ? { ...state, text: now } : undefined;
  };

  const value = (
    state: Extract<PythonCallState, { at: "value" }>,
    byte: number,
  ): PythonCallState | undefined => {
    const { tool, value, given, calls, fenced } = state;
    const isOutside = value.quote === undefined && value.word === undefined;
    const isTop = isOutside && value.json.stack.length === 1;
    const character = String.fromCharCode(byte);
    if (isTop && character === ")") {
      return walk(tool.json, value.json, "}") && { at: "called", calls: calls + 1, fenced };
    }
    if (isTop && character === ",") {
      const json = given.length < tool.parameters.length ? walk(tool.json, value.json, ",") : undefined;
      return json && { at: "name", tool, text: "", json, given, after: "comma", calls, fenced };
    }
    if (isTop && "} ".includes(character)) return undefined;
    const next = nextOfLiteral(tool.json, value, byte);
    return next && { ...state, value: next };
  };

  return {
    start: { at: "line", text: "", spaces: 0, calls: 0, fenced: false },
    next(state, byte) {
      switch (state.at) {
        case "line":
          return line(state, byte);
        case "name":
          return name(state, byte);
        case "value":
          return value(state, byte);
        case "called":
          return byte === 0x0a ? { ...state, at: "line", text: "", spaces: 0 } : undefined;
        case "end":
          return undefined;
      }
    },
    isWhole: ({ at }) => at === "end",
    isDone: ({ at }) => at === "end",
    stringRoom: (state) => (state.at === "value" ? literalRoom(state.tool.json, state.value) : undefined),
    key(state) {
      if (state.at === "end") return undefined;
      const block = `${Math.min(state.calls, most ?? 1)} ${state.fenced}`;
      if (state.at === "called") return `called ${block}`;
      if (state.at === "line") return `line ${block} ${state.spaces} ${state.text}`;
      const call = `${state.at} ${block} ${state.tool.name}`;
      if (state.at === "name") {
        const key = state.tool.json.key?.(state.json);
        return key === undefined ? undefined : `${call} ${state.after} ${state.text} ${state.given} ${key}`;
      }
      const key = literalKey(state.tool.json, state.value);
      return key === undefined ? undefined : `${call} ${state.given} ${key}`;
    },
  };
}
