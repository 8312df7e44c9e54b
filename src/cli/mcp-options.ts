/** What the commands of `minicpm mcp` that look at servers have in common. */
import type { Command } from "commander";
import type { McpHost } from "../index.ts";
import { addOutputOptions, applyOutputOptions, type OutputOptions } from "./command-options.ts";
import { Elicitation, elicitOn } from "./elicitation.ts";
import { UsageError } from "./failure.ts";
import type { Terminal } from "./terminal.ts";
import { connectAloud, givenServers, signInsFor } from "./tool-options.ts";
import { TypedLine } from "./typed-line.ts";

export interface McpFlags extends OutputOptions {
  readonly mcp?: string;
}

export function addMcpOptions(command: Command, json: string): Command {
  return addOutputOptions(command.option("--mcp <file>", 'the servers: {"mcpServers": {...}}'), json);
}

/** Runs `work` with the servers of `--mcp`. */
export async function withHost(
  options: McpFlags,
  terminal: Terminal,
  work: (host: McpHost) => Promise<void>,
): Promise<void> {
  applyOutputOptions(terminal, options);
  if (options.mcp === undefined) throw new UsageError("Say which servers: --mcp FILE.");
  const elicitation = new Elicitation(terminal);
  using source = process.stdin.isTTY ? new TypedLine() : undefined;
  if (source) elicitation.ask = elicitOn(source, terminal, () => process.kill(process.pid, "SIGINT"));
  const servers = givenServers(options.mcp);
  await using signIns = await signInsFor(servers, terminal, { keep: true });
  const callbacks = { onElicit: elicitation.answer, authorize: signIns?.authorize };
  await using host = await connectAloud(servers, terminal, callbacks);
  await work(host);
}
