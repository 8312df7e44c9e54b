import { OptionError } from "../errors.ts";
import type { Approve, ToolRun } from "../tools/make-call.ts";
import { checkTools, type ToolDefinition } from "../tools/tool.ts";
import { oneOf } from "./option-checks.ts";

/** Whether the model calls: as it likes, not at all, at least once, or one function first. */
export type ToolChoice = "auto" | "none" | "required" | { readonly name: string };

/** What a caller can ask about calls. */
export interface ToolUse {
  /**
   * What the model may call: its chat template tells it. Calls of tools that `defineTool` or `connectMcp` made are made
   * here, and the answer goes on from their results; calls of mere definitions come back in the result, for the caller to
   * make. In a session this stands in for the session's own. Default: none, or the session's.
   */
  readonly tools?: readonly ToolDefinition[] | undefined;
  /**
   * Holds calls to the tools, in the form in which the model writes them: only those there are, with parameters that they
   * have and values of their types. "required" and a name make the first answer a call, after what the model may think
   * before; later ones may call or not. "none" tells the model of no tool and lets it call none. Default: the model calls as it likes and is not held to anything.
   */
  readonly toolChoice?: ToolChoice | undefined;
  /**
   * "auto": where the tools take more than a quarter of the context, the model is told of those only whose names and
   * descriptions are closest to the question (BM25), and of those it has called. "all": of all. Default "auto".
   */
  readonly toolSelection?: "auto" | "all" | undefined;
  /** Most answers that the model makes one after another, each from the results of the one before. Default 8. */
  readonly maxSteps?: number | undefined;
  /** Asked before each call that passed its schema; false or a reason refuses it. Default: all are made. */
  readonly approve?: Approve | undefined;
  /** Calls are checked and not made; the answer ends with them. */
  readonly dryRun?: boolean | undefined;
  /** Milliseconds a call may take. Default 60,000. */
  readonly toolTimeoutMs?: number | undefined;
  /**
   * Tokens that one result may take, the rest is cut with a note. Default: a quarter of the context. Less where the
   * context is nearly full.
   */
  readonly toolResultTokens?: number | undefined;
  /** Told of each call when it is over: for logs. */
  readonly onToolRun?: ((run: ToolRun) => void) | undefined;
}

/** @throws OptionError */
export function checkToolUse({
  tools = [],
  toolChoice = "auto",
  toolSelection = "auto",
  maxSteps,
  toolTimeoutMs,
  toolResultTokens,
}: ToolUse): void {
  checkTools(tools);
  const counts = { maxSteps, toolTimeoutMs, toolResultTokens };
  for (const [option, count] of Object.entries(counts)) {
    if (count !== undefined && !(Number.isSafeInteger(count) && count > 0)) {
      throw new OptionError(option, "an integer above 0", count);
    }
  }
  oneOf("toolSelection", toolSelection, ["auto", "all"]);
  if (typeof toolChoice === "string") {
    oneOf("toolChoice", toolChoice, ["auto", "none", "required"]);
    if (toolChoice === "required" && tools.length === 0) {
      throw new OptionError("toolChoice", '"auto" or "none" where there are no tools', toolChoice);
    }
  } else if (!tools.some(({ name }) => name === toolChoice?.name)) {
    throw new OptionError(
      "toolChoice",
      '"auto", "none", "required" or { name } of one of the tools',
      toolChoice,
    );
  }
}
