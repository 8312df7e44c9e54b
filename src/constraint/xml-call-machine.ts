/**
 * A call as MiniCPM5 writes it, of a function that is offered:
 *
 *     <function name="get_weather"><param name="city">Oslo</param><param name="days">[1, 2]</param></function>
 *
 * The arguments are one JSON object to the schema's machine: a text stands for itself without its quotes, all else is JSON.
 * `<` and `&` are written as entities, and CDATA is not.
 */
import { ConstraintError } from "../errors.ts";
import { type ByteMachine, isSpace, latin1, walk } from "./byte-machine.ts";
import { type Callable, isRequired, type PreparedCallable, prepareCallable } from "./callable.ts";
import type { EngineState } from "./json-machine.ts";

export type XmlCallState =
  /** Up to the `>` behind the function's name. */
  | { readonly at: "head"; readonly text: string }
  /** Before a tag, or in one. */
  | ({ readonly at: "tag"; readonly text: string; readonly spaces: number } & Arguments)
  | ({ readonly at: "value" } & Value & Arguments)
  /** In the tag behind a value. */
  | ({ readonly at: "closing"; readonly text: string } & Arguments)
  | { readonly at: "end" };

interface Arguments {
  readonly tool: XmlCallable;
  readonly json: EngineState;
  readonly given: readonly string[];
}

interface Value {
  /** A text, not JSON. */
  readonly isText: boolean;
  /** What was before: neither end of a value is white space, which its reader leaves out. */
  readonly after: "nothing" | "space" | "text";
  /** An entity that is not complete yet. */
  readonly entity: string;
}

/** What stands for a character in a value. */
export const entities: ReadonlyMap<string, string> = new Map([
  ["&lt;", "<"],
  ["&gt;", ">"],
  ["&quot;", '"'],
  ["&apos;", "'"],
  ["&amp;", "&"],
]);

const ampersand = 0x26;
const lessThan = 0x3c;
/** What JSON writes for these in a string. */
const inString = new Map([
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

/** White space between two tags, in bytes. */
const mostSpace = 8;
const valueEnd = "</param>";

/** Whether a parameter's value stands for itself, as far as its schema says it: it may be a text. */
export function isTextParameter(parameters: unknown, name: string): boolean {
  const { properties } = Object(parameters) as { readonly properties?: unknown };
  return allowsText((Object(properties) as Readonly<Record<string, unknown>>)[name]);
}

function allowsText(schema: unknown): boolean {
  const {
    type,
    const: only,
    enum: several,
    anyOf,
    oneOf,
  } = Object(schema) as Readonly<Record<string, unknown>>;
  if (type !== undefined) return [type].flat().includes("string");
  const values = only === undefined ? several : [only];
  if (Array.isArray(values)) return values.some((value) => typeof value === "string");
  const parts = [anyOf, oneOf].find((list) => Array.isArray(list));
  return Array.isArray(parts) ? parts.some(allowsText) : true;
}

/**
 * One call, from behind `<function name=` to the end of `</function>`.
 *
 * @throws ConstraintError naming the tool that cannot be called so.
 */
export function xmlCallMachine(
  tools: readonly Callable[],
  { end }: { readonly end: string },
): ByteMachine<XmlCallState> {
  const heads = new Map(tools.map((tool) => [latin1(`"${tool.name}">`), prepare(tool)]));

  const head = (state: Extract<XmlCallState, { at: "head" }>, byte: number): XmlCallState | undefined => {
    const text = state.text + String.fromCharCode(byte);
    const tool = heads.get(text);
    if (tool) {
      const json = walk(tool.json, tool.json.start, "{");
      return json && { at: "tag", tool, json, given: [], text: "", spaces: 0 };
    }
    return [...heads.keys()].some((one) => one.startsWith(text)) ? { at: "head", text } : undefined;
  };

  const tag = (state: Extract<XmlCallState, { at: "tag" }>, byte: number): XmlCallState | undefined => {
    const { tool, json, given, spaces } = state;
    if (state.text === "" && isSpace(byte)) {
      return spaces < mostSpace ? { ...state, spaces: spaces + 1 } : undefined;
    }
    const text = state.text + String.fromCharCode(byte);
    if (end.startsWith(text) && walk(tool.json, json, "}")) {
      if (text === end) return { at: "end" };
      return { ...state, text };
    }
    const begun = tool.parameters.filter((one) => !given.includes(one) && opening(one).startsWith(text));
    const open = begun.flatMap((one) => {
      const value = opened(tool, json, one, given.length > 0);
      return value ? [{ one, value }] : [];
    });
    const whole = open.find(({ one }) => opening(one) === text);
    if (!whole) return open.length > 0 ? { ...state, text } : undefined;
    const isText = tool.texts.has(whole.one);
    const value = { isText, after: "nothing", entity: "" } as const;
    return { at: "value", tool, json: whole.value, given: [...given, whole.one], ...value };
  };

  const value = (state: Extract<XmlCallState, { at: "value" }>, byte: number): XmlCallState | undefined => {
    if (state.entity !== "") return inEntity(state, state.entity + String.fromCharCode(byte));
    if (byte === ampersand) return inEntity(state, "&");
    if (byte !== lessThan) return withByte(state, byte);
    const { tool, given, after } = state;
    const json = after === "space" ? undefined : closed(state);
    return json && { at: "closing", text: "<", tool, json, given };
  };

  return {
    start: { at: "head", text: "" },
    next(state, byte) {
      switch (state.at) {
        case "head":
          return head(state, byte);
        case "tag":
          return tag(state, byte);
        case "value":
          return value(state, byte);
        case "closing": {
          const { tool, json, given } = state;
          const text = state.text + String.fromCharCode(byte);
          if (text === valueEnd) return { at: "tag", tool, json, given, text: "", spaces: 0 };
          return valueEnd.startsWith(text) ? { ...state, text } : undefined;
        }
        case "end":
          return undefined;
      }
    },
    isWhole: ({ at }) => at === "end",
    isDone: ({ at }) => at === "end",
    stringRoom(state) {
      if (state.at !== "value" || state.entity !== "" || state.after === "nothing") return undefined;
      const room = state.tool.json.stringRoom?.(state.json);
      // A space may be the last that fits only where the value need not end in something else.
      return state.isText && room !== Number.POSITIVE_INFINITY ? undefined : room;
    },
    key(state) {
      if (state.at === "end") return undefined;
      if (state.at === "head") return `head ${state.text}`;
      const { at, tool, json, given } = state;
      const key = tool.json.key?.(json);
      const where =
        state.at === "value"
          ? `${state.after} ${state.entity}`
          : `${state.text} ${state.at === "tag" && state.spaces}`;
      return key === undefined ? undefined : `${at} ${tool.name} ${given} ${where} ${key}`;
    },
  };
}

interface XmlCallable extends PreparedCallable {
  /** Parameters whose values stand for themselves. */
  readonly texts: ReadonlySet<string>;
}

function prepare(callable: Callable): XmlCallable {
  const tool = prepareCallable(callable, (name) => /^[^"<>]+$/.test(name));
  const texts = new Set(tool.parameters.filter((name) => isTextParameter(callable.parameters, name)));
  const prepared = { ...tool, texts };
  const start = walk(tool.json, tool.json.start, "{");
  const lost = tool.parameters.find(
    (name) => isRequired(callable.parameters ?? {}, name) && !(start && opened(prepared, start, name, false)),
  );
  if (lost === undefined) return prepared;
  throw new ConstraintError(
    `tool ${tool.name}`,
    `the schema of its parameter ${lost} does not say that it is no text`,
  );
}

function opening(parameter: string): string {
  return latin1(`<param name="${parameter}">`);
}

/** The arguments with a parameter's name, and a text's first quote. */
function opened(
  { json: machine, texts }: XmlCallable,
  json: EngineState,
  parameter: string,
  comma: boolean,
): EngineState | undefined {
  const quote = texts.has(parameter) ? '"' : "";
  return walk(machine, json, `${comma ? "," : ""}${JSON.stringify(parameter)}:${quote}`);
}

type ValueState = Extract<XmlCallState, { at: "value" }>;

/** With one more byte of what the value says. */
function withByte(state: ValueState, byte: number): ValueState | undefined {
  const { tool, isText, after } = state;
  const space = isSpace(byte);
  if (space && after === "nothing") return undefined;
  if (!isText) {
    const json = tool.json.next(state.json, byte);
    if (!json || json.mode === "done" || (space && byte !== 0x20)) return undefined;
    // What follows the value is not its own: a comma, a bracket, a space.
    if (json.stack.length === 1 && (json.mode === "object-key" || (space && json.mode === "after-value"))) {
      return undefined;
    }
    if (space && after === "space") return undefined;
    return { ...state, json, after: space && isBetween(json) ? "space" : "text", entity: "" };
  }
  const written = inString.get(byte);
  if (written === undefined && byte < 0x20) return undefined;
  const json =
    written === undefined ? tool.json.next(state.json, byte) : walk(tool.json, state.json, written);
  if (!json || (space && tool.json.stringRoom?.(json) === 0)) return undefined;
  return { ...state, json, after: space ? "space" : "text", entity: "" };
}

function inEntity(state: ValueState, text: string): ValueState | undefined {
  const begun = [...entities].filter(([entity]) => entity.startsWith(text));
  const after = begun.flatMap(([entity, character]) => {
    const next = withByte(state, character.charCodeAt(0));
    return next ? [{ entity, next }] : [];
  });
  const whole = after.find(({ entity }) => entity === text);
  if (whole) return whole.next;
  return after.length > 0 ? { ...state, entity: text } : undefined;
}

/** Outside of strings, where white space says nothing. */
function isBetween({ mode }: EngineState): boolean {
  return !mode.endsWith("string");
}

/** The arguments behind the value; undefined where it is not whole. */
function closed({ tool, json, isText }: ValueState): EngineState | undefined {
  const behind = walk(tool.json, json, isText ? '"' : " ");
  return behind?.mode === "after-value" && behind.stack.length === 1 ? behind : undefined;
}
