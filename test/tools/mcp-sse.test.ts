import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { connectMcp } from "../../src/tools/connect-mcp.ts";

/** A server of 2024: one stream of events, requests by POST beside it, no Streamable HTTP. */
async function olderServer() {
  let stream: ServerResponse | undefined;
  const results: Record<string, unknown> = {
    initialize: {
      protocolVersion: "2024-11-05",
      capabilities: { tools: {} },
      serverInfo: { name: "older", version: "1" },
    },
    "tools/list": { tools: [{ name: "now", inputSchema: { type: "object" } }] },
    "tools/call": { content: [{ type: "text", text: "noon" }] },
  };
  const server = createServer(async (request, response) => {
    if (request.method === "GET" && request.url === "/sse") {
      stream = response.writeHead(200, { "content-type": "text/event-stream" });
      stream.write("event: endpoint\ndata: /messages\n\n");
      return;
    }
    if (request.method !== "POST" || request.url !== "/messages") {
      response.writeHead(405).end();
      return;
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    response.writeHead(202).end();
    const { id, method } = JSON.parse(body);
    if (id === undefined) return;
    const result = results[method] ?? {};
    stream?.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", id, result })}\n\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse` };
}

test("a server that knows SSE only is talked to by SSE", async () => {
  const { server, url } = await olderServer();
  try {
    await using host = await connectMcp({ mcpServers: { older: { url } } });
    expect(host.status()).toMatchObject([{ state: "ready", protocol: "2024-11-05", tools: 1 }]);
    const context = { signal: new AbortController().signal, onProgress: () => {} };
    expect(await host.tools()[0]?.call({}, context)).toEqual({ content: [{ type: "text", text: "noon" }] });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
