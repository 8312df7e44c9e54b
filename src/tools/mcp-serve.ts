/** Tools served to other programs by the Model Context Protocol, over stdio or HTTP. */
import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { hostHeaderValidation, originValidation, toNodeHandler } from "@modelcontextprotocol/node";
import {
  type CallToolResult,
  fromJsonSchema,
  McpServer,
  type McpServerOptions,
} from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { OptionError } from "../errors.ts";
import { implementation } from "./mcp-implementation.ts";
import { McpSessions } from "./mcp-sessions.ts";
import type { Tool, ToolResult } from "./tool.ts";

export interface ServeMcpOptions {
  readonly tools: readonly Tool[];
  /** What the tools are good for: a client's model reads it. */
  readonly instructions?: string | undefined;
  /** Adds to each server that is made for a client: prompts, resources, more tools. */
  readonly configure?: ((server: McpServer) => void) | undefined;
  /** More options of the SDK's McpServer: capabilities of what `configure` adds, and the like. */
  readonly serverOptions?: McpServerOptions | undefined;
}

export interface ServeMcpHttpOptions extends ServeMcpOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** 0 takes a free one. */
  readonly port: number;
  /** Clients have to send `Authorization: Bearer KEY`. Needed where `host` is not this machine alone. */
  readonly apiKey?: string | undefined;
  /** Names by which clients may reach it, beside `host` and this machine's own. */
  readonly allowedHosts?: readonly string[] | undefined;
}

export interface McpService {
  /** Absent over stdio. */
  readonly url?: string;
  close(): Promise<void>;
}

/** Serves one client over this process's stdin and stdout, until they close. */
export function serveMcpStdio(options: ServeMcpOptions): McpService {
  return serveStdio(() => newServer(options));
}

/**
 * Serves any number of clients at `/mcp`. Requests with a foreign Host or Origin are refused: a page in a browser cannot
 * reach it by a name that somebody has pointed here.
 *
 * @throws OptionError where it would listen to the network without a key.
 */
export async function serveMcpHttp(options: ServeMcpHttpOptions): Promise<McpService> {
  const { host = "127.0.0.1", port, apiKey, allowedHosts = [] } = options;
  if (!isLoopback(host) && (apiKey === undefined || apiKey === "")) {
    throw new OptionError("apiKey", `given where others than this machine are served (host ${host})`, apiKey);
  }
  const names = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    ...(isAny(host) ? [] : [bracketed(host)]),
    ...allowedHosts,
  ];
  const isKnownHost = hostHeaderValidation(names);
  const isKnownOrigin = originValidation(names);
  const sessions = new McpSessions(() => newServer(options));
  const handle = toNodeHandler(sessions);
  const server = createServer((request, response) => {
    if (!isKnownHost(request, response) || !isKnownOrigin(request, response)) return;
    if (apiKey !== undefined && !hasKey(request, apiKey))
      return refuse(response, 401, "the key is missing or wrong");
    if (new URL(request.url ?? "/", "http://localhost").pathname !== "/mcp") {
      return refuse(response, 404, "there is only /mcp");
    }
    void handle(request as Parameters<typeof handle>[0], response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, host, resolve);
  });
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${bracketed(host)}:${taken}/mcp`,
    close: async () => {
      await sessions.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function newServer({ tools, instructions, configure, serverOptions }: ServeMcpOptions): McpServer {
  const server = new McpServer(implementation, {
    ...serverOptions,
    capabilities: { tools: { listChanged: true }, ...serverOptions?.capabilities },
    ...(instructions !== undefined && { instructions }),
  });
  for (const tool of tools) register(server, tool);
  configure?.(server);
  return server;
}

function register(server: McpServer, tool: Tool): void {
  const { name, description, parameters = { type: "object" }, output, readOnly } = tool;
  const config = {
    ...(description !== undefined && { description }),
    inputSchema: fromJsonSchema<Record<string, never>>(parameters),
    ...(output && { outputSchema: fromJsonSchema(output) }),
    ...(readOnly !== undefined && { annotations: { readOnlyHint: readOnly } }),
  };
  server.registerTool(name, config, async (given, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    const result = await tool.call(given, {
      signal: mcpReq.signal,
      onProgress: ({ done, total, message }) => {
        if (progressToken === undefined) return;
        const params = {
          progressToken,
          progress: done,
          ...(total !== undefined && { total }),
          ...(message && { message }),
        };
        mcpReq.notify({ method: "notifications/progress", params }).catch(() => {}); // the client has gone
      },
    });
    return callResult(result);
  });
}

function callResult({ content, structured, isError }: ToolResult): CallToolResult {
  return {
    content: content.map((part) =>
      part.type === "resource"
        ? { type: "resource", resource: { uri: part.uri, text: part.text ?? "" } }
        : part,
    ),
    ...(typeof structured === "object" &&
      structured !== null && { structuredContent: structured as Record<string, unknown> }),
    ...(isError && { isError }),
  };
}

function hasKey({ headers }: IncomingMessage, key: string): boolean {
  const given = Buffer.from(headers.authorization ?? "");
  const wanted = Buffer.from(`Bearer ${key}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function refuse(response: ServerResponse, status: number, message: string): void {
  const body = JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32_000, message } });
  const headers = {
    "content-type": "application/json",
    ...(status === 401 && { "www-authenticate": "Bearer" }),
  };
  response.writeHead(status, headers).end(body);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function isAny(host: string): boolean {
  return ["0.0.0.0", "::", "[::]"].includes(host);
}

function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
