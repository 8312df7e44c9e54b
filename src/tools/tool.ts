/** What a model may call: functions described by JSON Schema, and calls of them. */
import { OptionError } from "../errors.ts";
import { isObject } from "./json-object.ts";

/** What JSON can say. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** A function that the model may call, as OpenAI's API and MCP describe it. */
export interface ToolDefinition {
  /** Letters, digits, `_`, `-` and `.`. */
  readonly name: string;
  /** When to call it and what it gives: the model reads this. */
  readonly description?: string | undefined;
  /** JSON Schema of the arguments, an object's. Absent: it takes none. */
  readonly parameters?: { readonly [keyword: string]: unknown } | undefined;
}

/** What a call gave. */
export type ToolContent =
  | { readonly type: "text"; readonly text: string }
  /** `data` is base64. A model that reads text only is told of it. */
  | { readonly type: "image" | "audio"; readonly data: string; readonly mimeType: string }
  /** A document: its text, or where it is. */
  | { readonly type: "resource"; readonly uri: string; readonly text?: string | undefined };

export interface ToolResult {
  readonly content: readonly ToolContent[];
  /** The same as a value, where the tool gives one. */
  readonly structured?: unknown;
  /** The call failed; `content` says why. */
  readonly isError?: boolean | undefined;
}

/** How far a call is, where its tool says so. */
export interface ToolProgress {
  readonly done: number;
  readonly total?: number | undefined;
  readonly message?: string | undefined;
}

export interface ToolContext {
  /** Fires when nobody waits for the call any more. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: ToolProgress) => void;
}

/** A function that can be called from here. */
export interface Tool extends ToolDefinition {
  /** The MCP server it is of; absent: the program's own. */
  readonly server?: string | undefined;
  /** JSON Schema of a result's `structured`. */
  readonly output?: { readonly [keyword: string]: unknown } | undefined;
  /** It changes nothing: its owner says so. */
  readonly readOnly?: boolean | undefined;
  /** Makes the call with arguments that `parameters` allow. */
  readonly call: (given: ToolCall["arguments"], context: ToolContext) => Promise<ToolResult>;
}

/** A call that the model asks for. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: { readonly [parameter: string]: JsonValue };
  /** Ties a call to its result where a chat template wants that; MiniCPM4's does not. */
  readonly id?: string | undefined;
}

/** Whether the function can be called from here, rather than by who asked. */
export function isTool(definition: ToolDefinition): definition is Tool {
  return "call" in definition && typeof definition.call === "function";
}

/** What a model is told of a tool: nothing of how it is done. */
export function definitionOf({ name, description, parameters }: ToolDefinition): ToolDefinition {
  return {
    name,
    ...(description !== undefined && { description }),
    ...(parameters !== undefined && { parameters }),
  };
}

/** Names that can stand before the bracket of a call: the source of a regular expression with flag `u`. */
export const toolNamePattern = String.raw`[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.-]*`;
const toolName = new RegExp(`^${toolNamePattern}$`, "u");

/** @throws OptionError naming the tool that is none, or two of one name. */
export function checkTools(tools: readonly ToolDefinition[]): void {
  if (!Array.isArray(tools)) throw new OptionError("tools", "a list of functions", tools);
  const names = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    if (!isObject(tool)) throw new OptionError(`tools[${index}]`, "an object with name and parameters", tool);
    const { name, description, parameters } = tool;
    if (typeof name !== "string" || !toolName.test(name)) {
      throw new OptionError(`tools[${index}].name`, 'a name of letters, digits, "_", "-" and "."', name);
    }
    if (names.has(name)) throw new OptionError(`tools[${index}].name`, "a name that no other tool has", name);
    names.add(name);
    if (description !== undefined && typeof description !== "string") {
      throw new OptionError(`tools[${index}].description`, "a text", description);
    }
    if (parameters !== undefined && !(isObject(parameters) && (parameters.type ?? "object") === "object")) {
      throw new OptionError(`tools[${index}].parameters`, 'a JSON Schema of type "object"', parameters);
    }
  }
}

/** @throws OptionError naming what is no call. */
export function checkCalls(calls: unknown, option: string): void {
  if (!Array.isArray(calls)) throw new OptionError(option, "a list of calls", calls);
  for (const [index, call] of calls.entries()) {
    const { name, arguments: given, id = "" } = isObject(call) ? call : {};
    if (typeof name !== "string" || !toolName.test(name)) {
      throw new OptionError(`${option}[${index}].name`, "a function's name", name);
    }
    if (!isObject(given)) throw new OptionError(`${option}[${index}].arguments`, "an object", given);
    if (typeof id !== "string") throw new OptionError(`${option}[${index}].id`, "a text", id);
  }
}
