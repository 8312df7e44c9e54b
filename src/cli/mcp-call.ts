/** `minicpm mcp call`: one call of one tool, as a model would make it. */
import type { Command } from "commander";
import type { ToolCall } from "../index.ts";
import { isObject } from "../tools/json-object.ts";
import { makeCall } from "../tools/make-call.ts";
import { QuietFailure, UsageError } from "./failure.ts";
import { interruptible } from "./interrupt.ts";
import { addMcpOptions, type McpFlags, withHost } from "./mcp-options.ts";
import type { Terminal } from "./terminal.ts";
import { progressStatus, showRun } from "./tool-lines.ts";

export function addMcpCallCommand(mcp: Command, terminal: Terminal): void {
  const command = mcp
    .command("call")
    .description("Call a tool.")
    .argument("<tool>", "its name, as `mcp tools` lists it")
    .argument("[arguments]", "a JSON object", "{}");
  addMcpOptions(command, "the run as one JSON object").action(
    async (name: string, json: string, options: McpFlags) => {
      const call = { name, arguments: parsedArguments(json) };
      await withHost(options, terminal, (host) =>
        interruptible(async (signal) => {
          const tools = host.tools();
          const run = await makeCall(call, {
            tools,
            timeoutMs: 600_000,
            signal,
            onProgress: (progress) => terminal.status.show(progressStatus(call, progress)),
          });
          terminal.status.clear();
          if (options.json) terminal.json(run);
          else if (run.outcome === "done") {
            terminal.answer(run.text);
            terminal.endAnswer();
          } else {
            showRun(run, terminal, true);
          }
          if (run.outcome !== "done") throw new QuietFailure();
        }),
      );
    },
  );
}

function parsedArguments(json: string): ToolCall["arguments"] {
  try {
    const given: unknown = JSON.parse(json);
    if (isObject(given)) return given as ToolCall["arguments"];
  } catch {
    // told below
  }
  throw new UsageError(`The arguments have to be a JSON object such as '{"path": "a.txt"}', not ${json}.`);
}
