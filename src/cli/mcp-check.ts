/** `minicpm mcp check`: which tools answer. */
import type { Command } from "commander";
import { probeTools } from "../tools/probe-tools.ts";
import { guarded } from "./command-options.ts";
import { fitWidth } from "./display-width.ts";
import { QuietFailure, UsageError } from "./failure.ts";
import { interruptible } from "./interrupt.ts";
import { addMcpOptions, type McpFlags, withHost } from "./mcp-options.ts";
import { printable } from "./printable.ts";
import { plural } from "./quantities.ts";
import { integer } from "./settings.ts";
import type { Terminal } from "./terminal.ts";
import { TypedLine } from "./typed-line.ts";

interface CheckFlags extends McpFlags {
  readonly call?: readonly string[];
  readonly timeout: number;
  readonly yes?: boolean;
}

export function addMcpCheckCommand(mcp: Command, terminal: Terminal): void {
  const command = mcp
    .command("check")
    .description(
      "Call each tool that says it changes nothing, with made-up arguments, and list those that never answer. " +
        "Others are skipped, unless --call names them.",
    )
    .option("--call <tool...>", "call this one too, after asking")
    .option("--yes", "do not ask about --call")
    .option("--timeout <seconds>", "what a call may take", guarded(integer(1)), 20);
  addMcpOptions(command, "a JSON line a tool").action(async (options: CheckFlags) => {
    const { call = [], timeout, yes } = options;
    if (call.length > 0 && !yes && !(await isAllowed(call))) {
      throw new UsageError(`${call.join(", ")} may change something: allow it on a terminal, or by --yes.`);
    }
    await withHost(options, terminal, (host) =>
      interruptible(async (signal) => {
        const counts = { answers: 0, silent: 0, skipped: 0 };
        for await (const check of probeTools(host.tools(), { call, timeoutMs: timeout * 1000, signal })) {
          counts[check.verdict]++;
          if (options.json) terminal.json(check);
          else
            terminal.line(
              printable(
                `${check.verdict.padEnd(8)} ${check.tool}: ${fitWidth(check.text.replace(/\s+/g, " "), 70)}`,
              ),
            );
        }
        const { answers, silent, skipped } = counts;
        terminal.notice(`${plural(answers, "tool")} answered, ${silent} did not, ${skipped} skipped.`);
        if (skipped > 0) terminal.notice("--call NAME calls one that may change something, after asking.");
        if (silent > 0) throw new QuietFailure();
      }),
    );
  });
}

async function isAllowed(names: readonly string[]): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  using line = new TypedLine();
  const answer = await line.read(`Call ${names.join(", ")} with made-up arguments? [y]es, [n]o: `);
  return answer.type === "line" && /^y(es)?$/i.test(answer.text.trim());
}
