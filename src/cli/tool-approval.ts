/** Asks whoever sits at the terminal whether a call may be made. */
import type { ApprovalsOptions, Decision } from "../tools/approvals.ts";
import type { LineSource } from "./line-source.ts";
import { printable } from "./printable.ts";
import type { Terminal } from "./terminal.ts";
import { approvalQuestion } from "./tool-lines.ts";

/** @param onInterrupt Ctrl-C instead of an answer */
export function askOn(
  source: Pick<LineSource, "read">,
  terminal: Terminal,
  onInterrupt: () => void,
): NonNullable<ApprovalsOptions["ask"]> {
  return async (call, tool) => {
    terminal.status.clear();
    terminal.endAnswer();
    for (;;) {
      const line = await source.read(printable(approvalQuestion(call, tool)));
      if (line.type !== "line") {
        onInterrupt();
        return "no";
      }
      const decision = decisionOf(line.text);
      if (decision) return decision;
    }
  };
}

function decisionOf(text: string): Decision | undefined {
  const word = text.trim().toLowerCase();
  if (word === "y" || word === "yes") return "once";
  if (word === "a" || word === "always") return "always";
  return word === "n" || word === "no" || word === "" ? "no" : undefined;
}
