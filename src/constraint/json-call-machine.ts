/**
 * A call as Qwen writes it, of a function that is offered:
 *
 *     {"name": "get_weather", "arguments": {"city": "Oslo", "days": [1, 2]}}
 *
 * The arguments are JSON to the schema's machine; its own names stand in the outermost object alone.
 */
import { type ByteMachine, isSpace, latin1, walk } from "./byte-machine.ts";
import { type Callable, type PreparedCallable, prepareCallable } from "./callable.ts";
import { type EngineState, maySpace } from "./json-machine.ts";

export type JsonCallState =
  /** Up to the arguments' `{`: `text` of it is there, without white space. */
  | { readonly at: "head"; readonly text: string; readonly spaces: number }
  /** Before a name, or in one: `text` of it with its quotes. `first`: no argument is there yet. */
  | ({
      readonly at: "name";
      readonly text: string;
      readonly first: boolean;
      readonly spaces: number;
    } & Arguments)
  /** Behind a name. */
  | ({ readonly at: "value"; readonly spaces: number } & Arguments)
  /** Behind the arguments' `}`: `text` of the call's own end is there. */
  | { readonly at: "tail"; readonly text: string; readonly spaces: number }
  | { readonly at: "end" };

interface Arguments {
  readonly tool: PreparedCallable;
  readonly json: EngineState;
  readonly given: readonly string[];
}

/** White space at a call's beginning and end, in bytes. */
const mostSpace = 2;

/**
 * One call, from behind `<tool_call>` to the end of `</tool_call>`.
 *
 * @throws ConstraintError naming the tool that cannot be called so.
 */
export function jsonCallMachine(
  tools: readonly Callable[],
  { end }: { readonly end: string },
): ByteMachine<JsonCallState> {
  const heads = new Map(
    tools.map((tool) => [
      latin1(`{"name":${JSON.stringify(tool.name)},"arguments":{`),
      prepareCallable(tool),
    ]),
  );
  const closing = latin1(`}${end}`);

  const head = (state: Extract<JsonCallState, { at: "head" }>, byte: number): JsonCallState | undefined => {
    const { text, spaces } = state;
    if (isSpace(byte)) {
      const between = byte === 0x20 && spaces === 0 && "{:,".includes(text.at(-1) ?? "");
      return (text === "" ? spaces < mostSpace : between) ? { ...state, spaces: spaces + 1 } : undefined;
    }
    const now = text + String.fromCharCode(byte);
    const tool = heads.get(now);
    if (tool) {
      const json = walk(tool.json, tool.json.start, "{");
      return json && { at: "name", tool, json, given: [], text: "", first: true, spaces: 0 };
    }
    const goesOn = [...heads.keys()].some((one) => one.startsWith(now));
    return goesOn ? { at: "head", text: now, spaces: 0 } : undefined;
  };

  const name = (state: Extract<JsonCallState, { at: "name" }>, byte: number): JsonCallState | undefined => {
    const { tool, json, given, text, first, spaces } = state;
    if (text === "" && isSpace(byte)) {
      return maySpace(spaces, byte) ? { ...state, spaces: spaces + 1 } : undefined;
    }
    if (text === "" && first && byte === 0x7d) {
      return walk(tool.json, json, "}") && { at: "tail", text: "", spaces: 0 };
    }
    const now = text + String.fromCharCode(byte);
    const left = tool.parameters.filter((one) => !given.includes(one));
    const whole = left.find((one) => latin1(`${JSON.stringify(one)}:`) === now);
    if (whole !== undefined) {
      const value = walk(tool.json, json, `${JSON.stringify(whole)}:`);
      return value && { at: "value", tool, json: value, given: [...given, whole], spaces: 0 };
    }
    const goesOn = left.some((one) => latin1(`${JSON.stringify(one)}:`).startsWith(now));
    return goesOn ? { ...state, text: now, spaces: 0 } : undefined;
  };

  const value = (state: Extract<JsonCallState, { at: "value" }>, byte: number): JsonCallState | undefined => {
    const { tool, json, given, spaces } = state;
    const next = tool.json.next(json, byte);
    if (next === undefined) return undefined;
    if (next.mode === "done") return { at: "tail", text: "", spaces: 0 };
    if (next.mode === "object-key" && next.stack.length === 1) {
      const more = given.length < tool.parameters.length;
      return more ? { at: "name", tool, json: next, given, text: "", first: false, spaces: 0 } : undefined;
    }
    const between = next === json && isSpace(byte);
    if (between && !maySpace(spaces, byte)) return undefined;
    return { ...state, json: next, spaces: between ? spaces + 1 : 0 };
  };

  const tail = (state: Extract<JsonCallState, { at: "tail" }>, byte: number): JsonCallState | undefined => {
    const { text, spaces } = state;
    if (isSpace(byte)) {
      return text.length < 2 && spaces < mostSpace ? { ...state, spaces: spaces + 1 } : undefined;
    }
    const now = text + String.fromCharCode(byte);
    if (now === closing) return { at: "end" };
    return closing.startsWith(now) ? { at: "tail", text: now, spaces: 0 } : undefined;
  };

  return {
    start: { at: "head", text: "", spaces: 0 },
    next(state, byte) {
      switch (state.at) {
        case "head":
          return head(state, byte);
        case "name":
          return name(state, byte);
        case "value":
          return value(state, byte);
        case "tail":
          return tail(state, byte);
        case "end":
          return undefined;
      }
    },
    isWhole: ({ at }) => at === "end",
    isDone: ({ at }) => at === "end",
    stringRoom: (state) => (state.at === "value" ? state.tool.json.stringRoom?.(state.json) : undefined),
    key(state) {
      if (state.at === "end") return undefined;
      if (state.at === "head" || state.at === "tail") return `${state.at} ${state.spaces} ${state.text}`;
      const { at, tool, json, given, spaces } = state;
      const key = tool.json.key?.(json);
      const before = state.at === "name" ? `${state.first} ${state.text}` : "";
      return key === undefined ? undefined : `${at} ${tool.name} ${given} ${spaces} ${before} ${key}`;
    },
  };
}
