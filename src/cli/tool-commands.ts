/** The commands of a chat that are about tools: /tools, /servers and /approve. */
import type { McpStatus, ToolDefinition } from "../index.ts";
import { approvalModes } from "../tools/approvals.ts";
import { isTool } from "../tools/tool.ts";
import type { ChatState } from "./chat-state.ts";
import { fitWidth } from "./display-width.ts";
import { plural } from "./quantities.ts";
import { tableLines } from "./table.ts";

const none = "There are no tools. Start with --tools FILE or --mcp FILE.";

export function showTools({ tools, terminal }: ChatState): undefined {
  const list = tools?.list() ?? [];
  if (list.length === 0) terminal.say(none);
  const isAllowed = (tool: ToolDefinition) => isTool(tool) && tools?.approvals.isAllowed(tool);
  for (const line of tableLines(
    list.map((tool) => [...toolRow(tool), isAllowed(tool) ? "always allowed" : ""]),
  )) {
    terminal.say(line);
  }
}

export function showServers({ tools, terminal }: ChatState): undefined {
  const servers = tools?.host?.status() ?? [];
  if (servers.length === 0) terminal.say("There are no MCP servers. Start with --mcp FILE.");
  for (const line of tableLines(servers.map(serverRow))) terminal.say(line);
}

export function approve({ tools, terminal }: ChatState, argument: string): undefined {
  if (!tools) {
    terminal.say(none);
    return;
  }
  const { approvals } = tools;
  const mode = approvalModes.find((each) => each === argument);
  const tool = tools
    .list()
    .filter(isTool)
    .find(({ name }) => name === argument);
  if (mode) approvals.mode = mode;
  else if (tool) approvals.setAllowed(tool, !approvals.isAllowed(tool));
  else if (argument !== "") terminal.say(`There is no tool ${argument}: /tools lists them.`);
  if (tool) terminal.say(`${tool.name} is ${approvals.isAllowed(tool) ? "always" : "no longer"} allowed.`);
  else terminal.say(`approve: ${approvals.mode}`);
}

/** Name, whose it is, what it does. */
export function toolRow(tool: ToolDefinition): string[] {
  const server = isTool(tool) ? (tool.server ?? "") : "printed only";
  return [`  ${tool.name}`, server, fitWidth((tool.description ?? "").replace(/\s+/g, " "), 60)];
}

/** Name, state, tools, what it is or what is wrong. */
export function serverRow({ server, state, tools, implementation, protocol, problem }: McpStatus): string[] {
  const what = problem ?? [implementation, protocol && `protocol ${protocol}`].filter(Boolean).join(", ");
  return [`  ${server}`, state, plural(tools, "tool"), what];
}
