/** How models write the functions they call, one form a family; which one is read off the chat template. */
import type { ToolCall, ToolDefinition } from "../tools/tool.ts";
import { jsonCalls } from "./json-calls.ts";
import { type MalformedCall, pythonCalls } from "./python-calls.ts";
import { xmlCalls } from "./xml-calls.ts";

/** A block of calls that is still arriving. Never throws, whatever arrives. */
export interface CallBlock {
  /** Takes a piece; returns the calls it completes and, once the block has ended, what stands behind it. */
  push(piece: string): { readonly found: readonly FoundCall[]; readonly rest?: string };
  /** No more comes: what an unfinished block gives. */
  end(): readonly FoundCall[];
}

export type FoundCall = ToolCall | MalformedCall;

export interface CallFormat {
  readonly name: "python" | "json" | "xml";
  /** What begins a block. */
  readonly start: string;
  /** What ends it. */
  readonly end: string;
  /** @param tools what was offered: a form without types takes them from there */
  readonly block: (tools: readonly ToolDefinition[]) => CallBlock;
  /** A call as an example, for a model that wrote none. */
  readonly example: string;
}

/** MiniCPM4's Python, MiniCPM5's XML or Qwen's JSON: the one whose tags the template has, Python where it has none. */
export function callFormatOf(template: string): CallFormat {
  if (template.includes(pythonCalls.start)) return pythonCalls;
  return [xmlCalls, jsonCalls].find(({ start }) => template.includes(start)) ?? pythonCalls;
}

export function isMalformed(call: FoundCall): call is MalformedCall {
  return "reason" in call;
}
