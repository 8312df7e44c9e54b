/** `minicpm mcp`: MCP servers seen from outside a chat, and this model as one. */
import type { Command } from "commander";
import { QuietFailure } from "./failure.ts";
import { addMcpCallCommand } from "./mcp-call.ts";
import { addMcpCheckCommand } from "./mcp-check.ts";
import { addMcpOptions, type McpFlags, withHost } from "./mcp-options.ts";
import { addMcpServeCommand } from "./mcp-serve.ts";
import { escaped } from "./printable.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { serverRow, toolRow } from "./tool-commands.ts";

export function addMcpCommand(program: Command, terminal: Terminal): void {
  const mcp = program
    .command("mcp")
    .summary("MCP servers: list, tools, call, check, serve")
    .description("Look at MCP servers and call their tools, or serve this model as one.");
  addMcpOptions(mcp.command("list").description("How the servers are."), "one JSON list").action(
    async (options: McpFlags) => {
      await withHost(options, terminal, async (host) => {
        const servers = host.status();
        if (options.json) terminal.json(servers);
        else for (const line of tableLines(servers.map(serverRow))) terminal.line(escaped(line.trim()));
        if (servers.some(({ state }) => state !== "ready")) throw new QuietFailure();
      });
    },
  );
  addMcpOptions(mcp.command("tools").description("Their tools."), "one JSON list, schemas and all").action(
    async (options: McpFlags) => {
      await withHost(options, terminal, async (host) => {
        const tools = host.tools();
        if (options.json) terminal.json(tools);
        else for (const line of tableLines(tools.map(toolRow))) terminal.line(escaped(line.trim()));
      });
    },
  );
  addMcpCallCommand(mcp, terminal);
  addMcpCheckCommand(mcp, terminal);
  addMcpServeCommand(mcp, terminal);
}
