import { request } from "node:http";
import { afterAll, expect, test } from "vitest";
import { connectMcp } from "../../src/tools/connect-mcp.ts";
import { defineTool } from "../../src/tools/define-tool.ts";
import { makeCall } from "../../src/tools/make-call.ts";
import { type McpService, type ServeMcpHttpOptions, serveMcpHttp } from "../../src/tools/mcp-serve.ts";

const echo = defineTool({
  name: "echo",
  description: "Says it again.",
  input: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
  readOnly: true,
  run: ({ text }, { onProgress }) => {
    onProgress({ done: 1, total: 2 });
    return String(text);
  },
});
const services: McpService[] = [];
afterAll(() => Promise.all(services.map((service) => service.close())));

async function serve(options: Partial<ServeMcpHttpOptions> = {}) {
  const service = await serveMcpHttp({ tools: [echo], port: 0, ...options });
  services.push(service);
  return service.url ?? "";
}

/** The status that a POST of an MCP request with these headers gets. */
function post(url: string, headers: Record<string, string>): Promise<number> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
  const accept = "application/json, text/event-stream";
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: "POST", headers: { "content-type": "application/json", accept, ...headers } },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    sent.on("error", reject).end(body);
  });
}

test("tools are served over HTTP, called, and their progress and errors come", async () => {
  await using host = await connectMcp({ mcpServers: { here: { url: await serve() } } });
  expect(host.status()).toMatchObject([{ state: "ready", tools: 1, protocol: "2026-07-28" }]);
  expect(host.tools()[0]).toMatchObject({ name: "echo", readOnly: true, description: "Says it again." });
  const told: unknown[] = [];
  const options = { tools: host.tools(), timeoutMs: 10_000, signal: new AbortController().signal };
  const onProgress = (progress: unknown) => told.push(progress);
  const run = await makeCall({ name: "echo", arguments: { text: "hi" } }, { ...options, onProgress });
  expect(run).toMatchObject({ outcome: "done", text: "hi" });
  expect(told).toMatchObject([{ done: 1, total: 2 }]);
});

test("a foreign Host or Origin is refused, whatever else is right", async () => {
  const url = await serve();
  expect(await post(url, { host: "evil.example.com" })).toBe(403);
  expect(await post(url, { origin: "https://evil.example.com" })).toBe(403);
  expect(await post(url, { host: "localhost:1234" })).not.toBe(403);
  expect(await post(url.replace("/mcp", "/other"), {})).toBe(404);
});

test("with a key nothing is told without it", async () => {
  const url = await serve({ apiKey: "k3y" });
  expect(await post(url, {})).toBe(401);
  expect(await post(url, { authorization: "Bearer wrong" })).toBe(401);
  const headers = { Authorization: "Bearer k3y" };
  await using host = await connectMcp({ mcpServers: { here: { url, headers } } });
  expect(host.status()).toMatchObject([{ state: "ready" }]);
  await using stranger = await connectMcp({ mcpServers: { here: { url } } });
  expect(stranger.status()).toMatchObject([{ state: "failed" }]);
});

test("it does not listen to the network without a key", async () => {
  await expect(serve({ host: "0.0.0.0" })).rejects.toMatchObject({ code: "OPTION", option: "apiKey" });
});
