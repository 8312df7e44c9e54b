/** Whether tools answer at all: the quality check that MiniCPM4-MCP's data was filtered by (arXiv:2506.07900, MCP). */
import { makeCall } from "./make-call.ts";
import { sampleValue } from "./sample-value.ts";
import type { Tool, ToolCall } from "./tool.ts";

/**
 * `answers`: with a result, or with an error that it explains. `silent`: it gave nothing, or ended its server, or took too
 * long. `skipped`: it may change something, or no arguments could be made up for it.
 */
export interface ToolProbe {
  readonly tool: string;
  readonly server?: string | undefined;
  readonly verdict: "answers" | "silent" | "skipped";
  /** What it said, or why it was not called. */
  readonly text: string;
  readonly durationMs: number;
}

export interface ProbeOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Names of tools to call although they do not say that they change nothing. */
  readonly call: readonly string[];
}

/** Calls each tool that says it changes nothing, and those of `call`, with made-up arguments; one after the other. */
export async function* probeTools(tools: readonly Tool[], options: ProbeOptions): AsyncGenerator<ToolProbe> {
  for (const tool of tools) yield await probeTool(tool, options);
}

async function probeTool(tool: Tool, { timeoutMs, signal, call }: ProbeOptions): Promise<ToolProbe> {
  const { name, server, readOnly, parameters = { type: "object" } } = tool;
  const checked = { tool: name, server, durationMs: 0 };
  if (!readOnly && !call.includes(name)) {
    return { ...checked, verdict: "skipped", text: "it may change something" };
  }
  const given = sampleValue(parameters);
  if (given === undefined) {
    return { ...checked, verdict: "skipped", text: "no arguments could be made up that its schema allows" };
  }
  const request = { name, arguments: given as ToolCall["arguments"] };
  const run = await makeCall(request, { tools: [tool], timeoutMs, signal });
  // An error that the tool itself tells is an answer: a made-up path does not exist.
  const answers = run.result !== undefined && run.text !== "(no content)";
  return { ...checked, verdict: answers ? "answers" : "silent", text: run.text, durationMs: run.durationMs };
}
