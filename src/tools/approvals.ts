/** Who may be called without asking: a mode for all tools, and tools that somebody has always allowed. */
import { createHash } from "node:crypto";
import { keepJson, keptJson } from "./kept-file.ts";
import type { Approval, Approve } from "./make-call.ts";
import { definitionOf, type Tool, type ToolCall } from "./tool.ts";

/** `ask`: somebody decides on each call. `auto`: all are made. `never`: none is. */
export const approvalModes = ["ask", "auto", "never"] as const;
export type ApprovalMode = (typeof approvalModes)[number];

/** What somebody says to a call: this one, this one and all later ones of the tool, or not. */
export type Decision = "once" | "always" | "no";

export interface ApprovalsOptions {
  readonly mode: ApprovalMode;
  /** Where tools that are always allowed are kept; absent: nowhere. */
  readonly file?: string | undefined;
  /** Asks somebody; absent: nobody is there, and `ask` refuses. */
  readonly ask?: ((call: ToolCall, tool: Tool, signal: AbortSignal) => Promise<Decision>) | undefined;
  /** How calls can be allowed, as a clause: told where one is refused because nobody is there. */
  readonly howToAllow?: string | undefined;
}

export class Approvals {
  mode: ApprovalMode;
  ask: ApprovalsOptions["ask"];
  readonly #file: string | undefined;
  readonly #howToAllow: string | undefined;
  /** Tool -> what was allowed: a tool that tells something else of itself is asked about again. */
  readonly #allowed: Map<string, string>;

  constructor({ mode, file, ask, howToAllow }: ApprovalsOptions) {
    this.mode = mode;
    this.ask = ask;
    this.#file = file;
    this.#howToAllow = howToAllow;
    this.#allowed = new Map(file === undefined ? [] : readAllowed(file));
  }

  isAllowed(tool: Tool): boolean {
    return this.#allowed.get(keyOf(tool)) === digestOf(tool);
  }

  /** Allows a tool always, or no more. What cannot be kept holds for this process. */
  setAllowed(tool: Tool, allowed: boolean): void {
    if (allowed) this.#allowed.set(keyOf(tool), digestOf(tool));
    else this.#allowed.delete(keyOf(tool));
    if (this.#file === undefined) return;
    try {
      keepJson(this.#file, Object.fromEntries(this.#allowed));
    } catch {
      // a full disk is no reason not to call
    }
  }

  readonly approve: Approve = async (call, tool, signal): Promise<Approval> => {
    if (this.mode === "never") return "calls are not allowed here";
    if (this.mode === "auto" || this.isAllowed(tool)) return true;
    if (!this.ask) {
      return [`nobody is there to allow ${call.name}`, this.#howToAllow].filter(Boolean).join(": ");
    }
    const decision = await this.ask(call, tool, signal);
    if (decision === "always") this.setAllowed(tool, true);
    return decision !== "no";
  };
}

function keyOf({ server, name }: Tool): string {
  return `${server ?? ""}/${name}`;
}

function digestOf(tool: Tool): string {
  return createHash("sha256")
    .update(JSON.stringify(definitionOf(tool)))
    .digest("hex")
    .slice(0, 32);
}

function readAllowed(file: string): [string, string][] {
  const entries = Object.entries(Object(keptJson(file)));
  return entries.filter((entry): entry is [string, string] => typeof entry[1] === "string");
}
