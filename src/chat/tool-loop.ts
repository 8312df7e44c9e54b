/** The tool loop: the model calls, the calls are made, the model goes on from what they gave, until it answers. */
import { inTurn } from "../tools/in-turn.ts";
import { makeCall, type ToolRun } from "../tools/make-call.ts";
import { isTool, type ToolCall, type ToolDefinition } from "../tools/tool.ts";
import type { CallFormat } from "./call-format.ts";
import type { GenerationEvent } from "./generation.ts";
import type { Message } from "./message.ts";
import type { MalformedCall } from "./python-calls.ts";
import type { Result, ToolStep } from "./result.ts";
import type { ToolChoice, ToolUse } from "./tool-use.ts";

export interface ToolLoop {
  readonly messages: readonly Message[];
  /** What the model is told of. */
  readonly tools: readonly ToolDefinition[];
  readonly format: CallFormat;
  readonly use: ToolUse;
  /** Makes one answer to the messages. */
  readonly answer: (messages: readonly Message[], choice: ToolChoice | undefined) => Promise<Result>;
  /** Cuts what `count` calls gave, so that all of it fits the context. */
  readonly cut: (text: string, count: number) => string;
  readonly emit: (event: GenerationEvent) => void;
  readonly signal: AbortSignal;
}

/** Steps in a row in which every call failed; the next answer is the last. */
const maxFailures = 2;

/**
 * Runs the loop. It ends with an answer that calls nothing; with calls that are the caller's to make; after `maxSteps`
 * answers; or when calls failed twice in a row and the model, told so, calls again. Errors go back to the model.
 *
 * @returns the messages with all that was said and called, and the last answer, with the earlier ones in `steps`.
 */
export async function answerWithTools(
  loop: ToolLoop,
): Promise<{ readonly messages: readonly Message[]; readonly result: Result }> {
  const { use, tools, emit } = loop;
  const { toolChoice, maxSteps = 8 } = use;
  const messages = [...loop.messages];
  const steps: ToolStep[] = [];
  const ended = (result: Result) => ({ messages, result: steps.length > 0 ? { ...result, steps } : result });

  for (let step = 1, failures = 0; ; step++) {
    const result = await loop.answer(messages, step === 1 ? toolChoice : toolChoice && "auto");
    messages.push(replyMessage(result));
    const { calls, malformedCalls = [] } = result;
    const over = step >= maxSteps || failures >= maxFailures || result.finishReason === "length";
    if (over || !hasOwnCalls(tools, calls, malformedCalls)) return ended(result);

    const runs = await makeCalls(calls, loop);
    steps.push({ result, runs });
    if (use.dryRun) return ended(result);
    failures = runs.some(({ outcome }) => outcome === "done") ? 0 : failures + 1;
    const refused = malformedCalls.map((malformed) => malformedText(malformed, loop.format));
    const told = [...runs.map(({ text }) => text), ...refused];
    const last = failures >= maxFailures ? "\nAnswer without calling again." : "";
    for (const [index, text] of told.entries()) {
      const { id } = calls[index] ?? {};
      messages.push({
        role: "tool",
        content: loop.cut(text, told.length) + last,
        ...(id !== undefined && { callId: id }),
      });
    }
    emit({ type: "step", step });
  }
}

/** Whether there are calls, and all of them can be made or answered here. */
function hasOwnCalls(
  tools: readonly ToolDefinition[],
  calls: readonly ToolCall[],
  malformed: readonly MalformedCall[],
): boolean {
  if (!tools.some(isTool) || calls.length + malformed.length === 0) return false;
  return calls.every(({ name }) => {
    const tool = tools.find((each) => each.name === name);
    return !tool || isTool(tool);
  });
}

/** Makes calls side by side, asking for one approval after the other; results in the calls' order. */
async function makeCalls(calls: readonly ToolCall[], loop: ToolLoop): Promise<ToolRun[]> {
  const { tools, use, emit, signal } = loop;
  const { approve, dryRun, toolTimeoutMs: timeoutMs = 60_000, onToolRun = () => {} } = use;
  const turns = inTurn();
  const oneByOne: typeof approve = approve && ((...asked) => turns(async () => approve(...asked)));
  const runs = await Promise.allSettled(
    calls.map(async (call) => {
      const run = await makeCall(call, {
        tools,
        approve: oneByOne,
        dryRun,
        timeoutMs,
        signal,
        onProgress: (progress) => emit({ type: "tool-progress", call, progress }),
      });
      onToolRun(run);
      emit({ type: "tool-result", run });
      return run;
    }),
  );
  return runs.map((run) => {
    if (run.status === "rejected") throw run.reason;
    return run.value;
  });
}

function malformedText({ text, reason }: MalformedCall, { example }: CallFormat): string {
  return `Error: this is no call: ${reason}. It was: ${text.slice(0, 200)}\nWrite calls like this:\n${example}`;
}

/** What the model said, as templates want it in later turns. */
function replyMessage({ text, thinking, calls }: Result): Message {
  return {
    role: "assistant",
    content: text,
    ...(thinking !== undefined && { thinking }),
    ...(calls.length > 0 && { calls }),
  };
}
