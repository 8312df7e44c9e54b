import { createHash, randomUUID } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { SignIns } from "../../src/cli/sign-in.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { connectMcp } from "../../src/index.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();
const closing: (() => unknown)[] = [];
afterAll(() => Promise.all(closing.map((close) => close())));

/** An MCP server that wants a token, and the server that gives it: RFC 9728, 8414, 7591, 7636, in one small program. */
async function guardedServer() {
  const results: Record<string, unknown> = {
    initialize: {
      protocolVersion: "2025-11-25",
      capabilities: { tools: {} },
      serverInfo: { name: "far", version: "1" },
    },
    "tools/list": { tools: [{ name: "echo", inputSchema: { type: "object" } }] },
  };
  const counts = { registered: 0, authorized: 0, refreshed: 0 };
  const challenges = new Map<string, string>();
  const tokens = new Set<string>();
  const newTokens = () => {
    const [access_token, refresh_token] = [randomUUID(), randomUUID()];
    tokens.add(access_token);
    return { access_token, refresh_token, token_type: "Bearer", expires_in: 3600 };
  };
  const server = createServer(async (request, response) => {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const url = new URL(request.url ?? "/", origin);
    const json = (value: unknown, status = 200) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    const body = await bodyOf(request);
    if (url.pathname.startsWith("/.well-known/oauth-protected-resource")) {
      return json({ resource: `${origin}/mcp`, authorization_servers: [origin] });
    }
    if (url.pathname.startsWith("/.well-known/oauth-authorization-server")) {
      return json({
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: ["none"],
        grant_types_supported: ["authorization_code", "refresh_token"],
      });
    }
    if (url.pathname === "/register") {
      counts.registered++;
      return json({ ...JSON.parse(body), client_id: `client-${counts.registered}` }, 201);
    }
    if (url.pathname === "/authorize") {
      counts.authorized++;
      const code = randomUUID();
      challenges.set(code, url.searchParams.get("code_challenge") ?? "");
      const back = new URL(url.searchParams.get("redirect_uri") ?? "");
      back.searchParams.set("code", code);
      back.searchParams.set("state", url.searchParams.get("state") ?? "");
      return response.writeHead(302, { location: back.href }).end();
    }
    if (url.pathname === "/token") {
      const given = new URLSearchParams(body);
      if (given.get("grant_type") === "refresh_token") {
        counts.refreshed++;
        return json(newTokens());
      }
      const hash = createHash("sha256")
        .update(given.get("code_verifier") ?? "")
        .digest("base64url");
      if (challenges.get(given.get("code") ?? "") !== hash) return json({ error: "invalid_grant" }, 400);
      return json(newTokens());
    }
    if (!tokens.has((request.headers.authorization ?? "").replace(/^Bearer /, ""))) {
      const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
      return response.writeHead(401, { "www-authenticate": `Bearer resource_metadata="${metadata}"` }).end();
    }
    if (request.method !== "POST") return response.writeHead(405).end();
    const { id, method } = JSON.parse(body);
    if (id === undefined) return response.writeHead(202).end();
    const error = { code: -32_601, message: "there is no such method" };
    const result = results[method];
    return json({ jsonrpc: "2.0", id, ...(result ? { result } : { error }) });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  return { url, counts, revoke: () => tokens.clear() };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}

/** Connects as somebody does who opens each page that is printed. */
async function connectTo(
  url: string,
  { file, interactive = true }: { file?: string; interactive?: boolean },
) {
  const told: string[] = [];
  const write = (text: string) => {
    told.push(text);
    const page = /Open this page: (\S+)/.exec(text)?.[1];
    if (page) void fetch(page);
  };
  const terminal = new Terminal({ stdout: { write }, stderr: { write }, env: { NO_COLOR: "1" } } as never);
  await using signIns = await SignIns.open({ file, terminal, interactive });
  await using host = await connectMcp({ mcpServers: { far: { url } } }, { authorize: signIns.authorize });
  return { told: told.join(""), status: host.status()[0], tools: host.tools().map(({ name }) => name) };
}

test("a server that wants it is signed in to by a page and a port of this machine, once", async () => {
  const { url, counts, revoke } = await guardedServer();
  const file = join(folder, "state", "mcp-sign-in.json");
  const first = await connectTo(url, { file });
  expect(first).toMatchObject({ status: { state: "ready" }, tools: ["echo"] });
  expect(first.told).toMatch(
    /^MCP server far wants you to sign in\. Open this page: http:\S+code_challenge=\S+$/m,
  );
  expect(statSync(file).mode & 0o777).toBe(0o600);

  const second = await connectTo(url, { file, interactive: false });
  expect(second).toMatchObject({ status: { state: "ready" }, told: "" });
  revoke();
  const third = await connectTo(url, { file, interactive: false });
  expect(third).toMatchObject({ status: { state: "ready" }, told: "" });
  expect(counts).toEqual({ registered: 1, authorized: 1, refreshed: 1 });
  expect(JSON.parse(readFileSync(file, "utf8")).servers[url].tokens.refresh_token).toBeTruthy();
});

test("with nobody there, the server fails and says what to do", async () => {
  const { url, counts } = await guardedServer();
  const { status } = await connectTo(url, { interactive: false });
  expect(status).toMatchObject({ state: "failed" });
  expect(status?.problem).toMatch(
    /wants you to sign in, and nobody is there: `minicpm mcp list --mcp FILE` on a terminal/,
  );
  expect(counts.authorized).toBe(0);
});

test("a redirect that nobody waits for is refused, and one that says no ends the waiting", async () => {
  const terminal = new Terminal({ stdout: { write() {} }, stderr: { write() {} }, env: {} } as never);
  await using signIns = await SignIns.open({ file: undefined, terminal, interactive: true });
  const { provider, redirected } = signIns.authorize("far", "http://127.0.0.1:9/mcp");
  const back = String(provider.redirectUrl);
  const state = await provider.state?.();
  expect((await fetch(`${back}?code=1&state=guessed`)).status).toBe(404);
  await provider.redirectToAuthorization(new URL("http://127.0.0.1:9/authorize"));
  expect((await fetch(`${back}?code=1&state=guessed`)).status).toBe(404);
  expect((await fetch(`${back}?error=access_denied&state=${state}`)).status).toBe(200);
  await expect(redirected()).rejects.toThrow("signing in was refused: access_denied");
});
