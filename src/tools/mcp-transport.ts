/** The ways to an MCP server: a process's stdin and stdout, Streamable HTTP, or the older SSE. */
import {
  type OAuthClientProvider,
  SdkHttpError,
  SSEClientTransport,
  StreamableHTTPClientTransport,
  type Transport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import { getDefaultEnvironment, StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import type { McpHttpConfig, McpServerConfig } from "./mcp-config.ts";

/** How a server is asked for permission to use it, where it wants OAuth. */
export interface McpAuthorization {
  /** Of the MCP SDK: keeps tokens, and sends the user to the authorization page. */
  readonly provider: OAuthClientProvider;
  /** What the page redirected to, once the user is back: its `code` and `iss` count. */
  readonly redirected: () => Promise<URLSearchParams>;
}

const keptCharacters = 2000;

export interface OpenTransport {
  readonly transport: Transport;
  /** What the server's process said on stderr last. */
  readonly lastWords: () => string;
  /** Finishes an authorization that a request ran into; false where there is none to finish. */
  readonly authorize: (error: unknown) => Promise<boolean>;
}

/** @param sse the older transport, see `isOlder` */
export function openTransport(
  config: McpServerConfig,
  {
    sse = false,
    authorization,
  }: { readonly sse?: boolean; readonly authorization?: McpAuthorization | undefined },
): OpenTransport {
  if (!("url" in config)) return openStdio(config);
  const options = {
    requestInit: { headers: { ...config.headers } },
    ...(authorization && { authProvider: authorization.provider }),
  };
  const url = new URL(config.url);
  const transport = sse
    ? new SSEClientTransport(url, options)
    : new StreamableHTTPClientTransport(url, options);
  return {
    transport,
    lastWords: () => "",
    authorize: async (error) => {
      if (!authorization || !isUnauthorized(error)) return false;
      await transport.finishAuth(await authorization.redirected());
      return true;
    },
  };
}

/** Whether a server's refusal of Streamable HTTP means that it knows SSE only. */
export function isOlder(error: unknown, config: McpServerConfig): config is McpHttpConfig {
  if (!("url" in config) || config.type !== undefined) return false;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof SdkHttpError && [404, 405, 406].includes(cause.status ?? 0)) return true;
  }
  return false;
}

function openStdio({
  command,
  args = [],
  env = {},
  cwd,
}: Exclude<McpServerConfig, McpHttpConfig>): OpenTransport {
  const transport = new StdioClientTransport({
    command,
    args: [...args],
    env: { ...getDefaultEnvironment(), ...env },
    stderr: "pipe",
    ...(cwd !== undefined && { cwd }),
  });
  let words = "";
  transport.stderr?.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString("utf8")).slice(-keptCharacters);
  });
  return { transport, lastWords: () => words.trim(), authorize: async () => false };
}

function isUnauthorized(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof UnauthorizedError) return true;
  }
  return false;
}
