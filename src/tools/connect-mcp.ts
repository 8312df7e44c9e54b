/** What connecting to MCP servers takes and gives. */
import type {
  CreateMessageRequest,
  CreateMessageResult,
  ElicitRequest,
  ElicitResult,
  GetPromptResult,
  Prompt as McpPrompt,
  Resource as McpResource,
  ReadResourceResult,
} from "@modelcontextprotocol/client";
import { type McpConfig, parseMcpConfig, readMcpConfig } from "./mcp-config.ts";
import type { McpAuthorization } from "./mcp-transport.ts";
import type { Tool } from "./tool.ts";

/** What servers may ask of who connects to them; what is absent is not offered to them. */
export interface McpCallbacks {
  /** A server wants something of the user: a form to fill, or a page to visit. */
  readonly onElicit?:
    | ((server: string, request: ElicitRequest["params"]) => Promise<ElicitResult>)
    | undefined;
  /** A server wants an answer of the model. */
  readonly onSample?:
    | ((server: string, request: CreateMessageRequest["params"]) => Promise<CreateMessageResult>)
    | undefined;
  /** A server on the network wants OAuth. */
  readonly authorize?: ((server: string, url: string) => McpAuthorization | undefined) | undefined;
  /** Folders that servers may work in, as `file://` URLs. */
  readonly roots?: readonly string[] | undefined;
}

export interface McpStatus {
  readonly server: string;
  /** `starting`: for the first time. `waiting`: it went away and is started again soon. `failed`: given up. */
  readonly state: "starting" | "ready" | "waiting" | "failed" | "closed";
  readonly tools: number;
  /** What is wrong, as a clause, secrets masked. */
  readonly problem?: string | undefined;
  /** Its own name and version. */
  readonly implementation?: string | undefined;
  readonly protocol?: string | undefined;
  /** Times it was started again. */
  readonly restarts: number;
}

export interface ConnectMcpOptions extends McpCallbacks {
  /** Milliseconds until a server has to be there. Default 30,000. */
  readonly startTimeoutMs?: number | undefined;
  /** Milliseconds before a server that has ended is started again; twice as long each time. Default 500. */
  readonly backoffMs?: number | undefined;
  /** Told whenever a server comes or goes. */
  readonly onStatus?: ((status: McpStatus) => void) | undefined;
  /** Told when there are other tools than before. */
  readonly onToolsChanged?: (() => void) | undefined;
}

/** MCP servers, connected. */
export interface McpHost extends AsyncDisposable {
  /**
   * The tools of all servers that are there, for `tools` of a session or an answer. A name that several servers give has
   * the server's name and a dot before it.
   */
  tools(): readonly Tool[];
  /** How each server is, in the order of the list. */
  status(): readonly McpStatus[];
  /** @throws McpServerError */
  prompts(server: string): Promise<readonly McpPrompt[]>;
  prompt(server: string, name: string, given?: Readonly<Record<string, string>>): Promise<GetPromptResult>;
  resources(server: string): Promise<readonly McpResource[]>;
  resource(server: string, uri: string): Promise<ReadResourceResult>;
  /** Ends the connections, and the processes that were started. A second call does nothing. */
  close(): Promise<void>;
}

/**
 * Connects to all servers at once. One that cannot be reached fails nothing: `status()` says so, and it is not tried again
 * until a call of one of its tools; one that goes away is started again.
 *
 * @param config a file, or what stands in it
 * @throws McpConfigError
 */
export async function connectMcp(
  config: string | McpConfig,
  options: ConnectMcpOptions = {},
): Promise<McpHost> {
  const { mcpServers } =
    typeof config === "string" ? await readMcpConfig(config) : parseMcpConfig(config, "mcpServers");
  const { connectHost } = await import("./mcp-host.ts"); // the SDK is loaded by who needs it
  return connectHost(mcpServers, options);
}
