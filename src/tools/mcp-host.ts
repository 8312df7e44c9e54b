/** Connects to MCP servers and makes what they offer callable: the host of the Model Context Protocol. */
import type {
  GetPromptResult,
  Prompt as McpPrompt,
  Resource as McpResource,
  Tool as McpTool,
  ReadResourceResult,
} from "@modelcontextprotocol/client";
import { OptionError } from "../errors.ts";
import type { ConnectMcpOptions, McpHost, McpStatus } from "./connect-mcp.ts";
import type { McpConfig } from "./mcp-config.ts";
import { toolResultOf } from "./mcp-content.ts";
import { McpServerLink } from "./mcp-server-link.ts";
import type { JsonValue, Tool } from "./tool.ts";

/** Connects to all servers at once; see connectMcp. */
export async function connectHost(
  servers: McpConfig["mcpServers"],
  options: ConnectMcpOptions,
): Promise<McpHost> {
  const {
    startTimeoutMs = 30_000,
    backoffMs = 500,
    onStatus = () => {},
    onToolsChanged = () => {},
  } = options;
  const settings = { ...options, startTimeoutMs, backoffMs, onStatus, onTools: onToolsChanged };
  const links = Object.entries(servers)
    .filter(([, { disabled }]) => !disabled)
    .map(([name, server]) => new McpServerLink(name, server, settings));
  await Promise.all(links.map((link) => link.start()));
  return new ConnectedHost(links);
}

class ConnectedHost implements McpHost {
  readonly #links: readonly McpServerLink[];
  /** The same object for the same tool, as long as its server tells the same of it. */
  readonly #made = new WeakMap<McpTool, Map<string, Tool>>();

  constructor(links: readonly McpServerLink[]) {
    this.#links = links;
  }

  tools(): readonly Tool[] {
    const all = this.#links.flatMap((link) => link.tools.map((tool) => ({ link, tool })));
    const names = all.map(({ tool }) => legal(tool.name));
    return all.map(({ link, tool }, index) => {
      const name = names[index] ?? "";
      const shared = names.indexOf(name) !== names.lastIndexOf(name);
      return this.#toolOf(link, tool, shared ? legal(`${link.name}.${name}`) : name);
    });
  }

  status(): readonly McpStatus[] {
    return this.#links.map(({ status }) => status);
  }

  async prompts(server: string): Promise<readonly McpPrompt[]> {
    return this.#link(server).use(async (client, timeout) => {
      if (!client.getServerCapabilities()?.prompts) return [];
      return (await client.listPrompts(undefined, { timeout })).prompts;
    });
  }

  prompt(
    server: string,
    name: string,
    given: Readonly<Record<string, string>> = {},
  ): Promise<GetPromptResult> {
    return this.#link(server).use((client, timeout) =>
      client.getPrompt({ name, arguments: { ...given } }, { timeout }),
    );
  }

  async resources(server: string): Promise<readonly McpResource[]> {
    return this.#link(server).use(async (client, timeout) => {
      if (!client.getServerCapabilities()?.resources) return [];
      return (await client.listResources(undefined, { timeout })).resources;
    });
  }

  resource(server: string, uri: string): Promise<ReadResourceResult> {
    return this.#link(server).use((client, timeout) => client.readResource({ uri }, { timeout }));
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #link(server: string): McpServerLink {
    const link = this.#links.find(({ name }) => name === server);
    if (link) return link;
    throw new OptionError(
      "server",
      this.#links.map(({ name }) => name).join(" or ") || "one of none",
      server,
    );
  }

  #toolOf(link: McpServerLink, tool: McpTool, name: string): Tool {
    const byName = this.#made.get(tool) ?? new Map<string, Tool>();
    this.#made.set(tool, byName);
    const known = byName.get(name);
    if (known) return known;
    const made = mcpTool(link, tool, name);
    byName.set(name, made);
    return made;
  }
}

function mcpTool(link: McpServerLink, tool: McpTool, name: string): Tool {
  const { description, inputSchema, outputSchema, annotations } = tool;
  return {
    name,
    server: link.name,
    ...(description !== undefined && { description }),
    parameters: inputSchema,
    ...(outputSchema && { output: outputSchema }),
    ...(annotations?.readOnlyHint !== undefined && { readOnly: annotations.readOnlyHint }),
    call: (given, { signal, onProgress }) =>
      link.use(async (client, timeout) => {
        const result = await client.callTool(
          { name: tool.name, arguments: { ...(given as Record<string, JsonValue>) } },
          {
            signal,
            timeout,
            resetTimeoutOnProgress: true,
            onprogress: ({ progress, total, message }) => onProgress({ done: progress, total, message }),
          },
        );
        return toolResultOf(result);
      }),
  };
}

/** A name that calls can be written with. */
function legal(name: string): string {
  return name.replace(/[^\p{L}\p{M}\p{N}_.-]/gu, "_").replace(/^[^\p{L}\p{N}_]/u, "_");
}
