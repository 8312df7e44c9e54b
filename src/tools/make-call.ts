/** Makes one call that a model asked for: found, checked, approved, made, and never longer than it may take. */
import { McpServerError } from "../errors.ts";
import { schemaProblem } from "./json-schema.ts";
import {
  isTool,
  type Tool,
  type ToolCall,
  type ToolDefinition,
  type ToolProgress,
  type ToolResult,
} from "./tool.ts";
import { resultText } from "./tool-result.ts";

/**
 * How a call ended. `done`: it gave a result. `error`: it failed, or took too long. `invalid`: there is no such tool, or
 * its schema does not allow the arguments; nothing was called. `refused`: it was not approved. `dry`: it would have been
 * made.
 */
export type CallOutcome = "done" | "error" | "invalid" | "refused" | "dry";

/** A call that was made, or was not, and what came of it. */
export interface ToolRun {
  readonly call: ToolCall;
  /** The MCP server of its tool; absent: the program's own. */
  readonly server?: string | undefined;
  readonly outcome: CallOutcome;
  /** What the model is told: the result as text, or what went wrong. */
  readonly text: string;
  /** As the tool gave it, where it did. */
  readonly result?: ToolResult | undefined;
  /** Milliseconds the call took, without waiting for approval. */
  readonly durationMs: number;
}

/** True: make the call. False or a text, which the model is told as the reason: do not. */
export type Approve = (call: ToolCall, tool: Tool, signal: AbortSignal) => Approval | Promise<Approval>;
export type Approval = boolean | string;

export interface MakeCallOptions {
  readonly tools: readonly ToolDefinition[];
  /** Default: every call is made. */
  readonly approve?: Approve | undefined;
  /** Calls are checked and not made. */
  readonly dryRun?: boolean | undefined;
  /** Milliseconds a call may take. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: ToolProgress) => void) | undefined;
}

/** @throws what `approve` throws, and the signal's reason when it fires; nothing else. */
export async function makeCall(call: ToolCall, options: MakeCallOptions): Promise<ToolRun> {
  const { tools, approve, dryRun, signal } = options;
  const tool = tools.find((each) => each.name === call.name);
  if (!tool || !isTool(tool)) {
    const names = tools.map(({ name }) => name).join(", ");
    return notMade(call, tool, "invalid", `Error: there is no function ${call.name}. There are: ${names}.`);
  }
  const problem = tool.parameters && schemaProblem(tool.parameters, call.arguments);
  if (problem !== undefined) {
    return notMade(call, tool, "invalid", `Error: the arguments of ${call.name} are wrong: ${problem}.`);
  }
  if (dryRun) return notMade(call, tool, "dry", "Not called: this is a dry run.");
  const approved = approve ? await approve(call, tool, signal) : true;
  signal.throwIfAborted();
  if (approved === true) return run(tool, call, options);
  return notMade(call, tool, "refused", `Not called: ${approved || "the user does not allow this call"}.`);
}

function notMade(
  call: ToolCall,
  tool: ToolDefinition | undefined,
  outcome: CallOutcome,
  text: string,
): ToolRun {
  return { call, server: (tool as Tool | undefined)?.server, outcome, text, durationMs: 0 };
}

async function run(tool: Tool, call: ToolCall, options: MakeCallOptions): Promise<ToolRun> {
  const { timeoutMs, signal, onProgress = () => {} } = options;
  const start = performance.now();
  const ended = (outcome: CallOutcome, text: string, result?: ToolResult): ToolRun => ({
    call,
    server: tool.server,
    outcome,
    text,
    ...(result && { result }),
    durationMs: performance.now() - start,
  });
  const limit = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([signal, limit]);
  try {
    const context = { signal: either, onProgress };
    const result = await orAborted(
      Promise.resolve().then(() => tool.call(call.arguments, context)),
      either,
    );
    return ended(result.isError ? "error" : "done", resultText(result), result);
  } catch (error) {
    signal.throwIfAborted();
    const reason = limit.aborted ? `it took longer than ${timeoutMs / 1000} s` : reasonOf(error);
    return ended("error", resultText({ content: [{ type: "text", text: reason }], isError: true }));
  }
}

/** The promise's value, or a rejection as soon as the signal fires: a tool that hears no signal holds up nobody. */
function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((fulfil, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(fulfil, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** For the model: what happened, without the advice to people. */
function reasonOf(error: unknown): string {
  if (error instanceof McpServerError) return error.reason;
  return error instanceof Error ? error.message : String(error);
}
