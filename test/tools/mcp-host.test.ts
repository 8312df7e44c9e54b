import { afterAll, expect, test } from "vitest";
import {
  type ConnectMcpOptions,
  connectMcp,
  type McpHost,
  type McpStatus,
} from "../../src/tools/connect-mcp.ts";
import { makeCall } from "../../src/tools/make-call.ts";
import { root } from "../needs.ts";

const fixture = `${root}test/tools/fixture-server.mjs`;
const server = (...args: string[]) => ({ command: process.execPath, args: [fixture, ...args] });
const hosts: McpHost[] = [];
afterAll(() => Promise.all(hosts.map((host) => host.close())));

async function connect(mcpServers: Record<string, object>, options: ConnectMcpOptions = {}) {
  const host = await connectMcp({ mcpServers } as never, options);
  hosts.push(host);
  return host;
}

async function call(host: McpHost, name: string, given: object = {}, timeoutMs = 30_000) {
  const signal = new AbortController().signal;
  return makeCall({ name, arguments: given as never }, { tools: host.tools(), timeoutMs, signal });
}

const one = connect({ box: { ...server(), env: { FIXTURE_KEY: "s3cret-key" } } });

test("a server's tools are there, with their schemas, and can be called", async () => {
  const host = await one;
  expect(host.status()).toMatchObject([{ server: "box", state: "ready", implementation: "fixture 1.0.0" }]);
  const echo = host.tools().find(({ name }) => name === "echo");
  expect(echo).toMatchObject({ server: "box", description: "Does echo.", readOnly: true });
  expect(echo?.parameters).toMatchObject({ type: "object", required: ["text"] });
  expect(await call(host, "echo", { text: "hi" })).toMatchObject({ outcome: "done", text: "hi" });
  expect(await call(host, "add", { a: 17, b: 25 })).toMatchObject({
    text: "42",
    result: { structured: { sum: 42 } },
  });
});

test("errors, images and wrong arguments come as what they are", async () => {
  const host = await one;
  expect(await call(host, "fail")).toMatchObject({ outcome: "error", text: "Error: no such file" });
  expect(await call(host, "image")).toMatchObject({ outcome: "done", text: "[image image/png, 3 bytes]" });
  expect(await call(host, "add", { a: "x" })).toMatchObject({ outcome: "invalid" });
});

test("of this process's environment a server sees what is given to it, and little else", async () => {
  const host = await one;
  process.env.MINICPM_TEST_SECRET = "no";
  expect((await call(host, "env", { name: "FIXTURE_KEY" })).text).toBe("s3cret-key");
  expect((await call(host, "env", { name: "MINICPM_TEST_SECRET" })).text).toBe("not set");
  delete process.env.MINICPM_TEST_SECRET;
});

test("progress is told while a call runs", async () => {
  const host = await one;
  const told: unknown[] = [];
  await makeCall(
    { name: "steps", arguments: { count: 3 } },
    {
      tools: host.tools(),
      timeoutMs: 30_000,
      signal: new AbortController().signal,
      onProgress: (progress) => {
        told.push(progress);
        if (progress.done === 3) void call(host, "release"); // it waits for that
      },
    },
  );
  expect(told).toContainEqual({ done: 2, total: 3, message: "step 2" });
});

test("a call that hangs is given up, one that is aborted ends at once, and the server goes on", async () => {
  const host = await one;
  expect(await call(host, "hang", {}, 300)).toMatchObject({ outcome: "error", text: /longer than 0.3 s/ });
  const abort = new AbortController();
  const options = { tools: host.tools(), timeoutMs: 30_000, signal: abort.signal };
  const hanging = makeCall({ name: "hang", arguments: {} }, options);
  abort.abort(new Error("enough"));
  await expect(hanging).rejects.toThrow("enough");
  expect((await call(host, "echo", { text: "still" })).text).toBe("still");
});

test("a server that floods both of its streams loses nothing of the others", async () => {
  const host = await one;
  expect((await call(host, "flood")).text).toBe("flooded");
  expect((await call(host, "echo", { text: "dry" })).text).toBe("dry");
});

test("prompts and resources are listed and read", async () => {
  const host = await one;
  expect((await host.prompts("box")).map(({ name }) => name)).toEqual(["greet"]);
  expect(await host.prompt("box", "greet", { name: "Ada" })).toMatchObject({
    messages: [{ content: { text: "Greet Ada." } }],
  });
  expect((await host.resources("box")).map(({ uri }) => uri)).toEqual(["note://one"]);
  expect(await host.resource("box", "note://one")).toMatchObject({ contents: [{ text: "remember" }] });
  await expect(host.prompts("bix")).rejects.toMatchObject({ code: "OPTION" });
});

test("a server that ends is started again, and a call that it ended is an error", async () => {
  const states: McpStatus["state"][] = [];
  const host = await connect(
    { box: server() },
    { backoffMs: 10, onStatus: ({ state }) => states.push(state) },
  );
  expect(await call(host, "exit")).toMatchObject({ outcome: "error" });
  expect(await call(host, "echo", { text: "back" })).toMatchObject({ text: "back" });
  expect(states).toContain("waiting");
  expect(host.status()).toMatchObject([{ state: "ready" }]);
});

test("a server that is not there fails nothing: the others serve, and it says why, without secrets", async () => {
  const host = await connect(
    {
      dead: { ...server("dead"), env: { FIXTURE_KEY: "s3cret-key" } },
      mute: server("mute"),
      none: { command: "no-such-program" },
      well: server(),
    },
    { startTimeoutMs: 4000 },
  );
  const [dead, mute, none, well] = host.status();
  expect([dead, mute, none, well].map((status) => status?.state)).toEqual([
    "failed",
    "failed",
    "failed",
    "ready",
  ]);
  expect(dead?.problem).toMatch(/cannot open the database with \*\*\*/);
  expect(mute?.problem).toMatch(/did not answer|timed out/i);
  expect(none?.problem).toMatch(/ENOENT/);
  expect((await call(host, "echo", { text: "well" })).text).toBe("well");
});

test("names that several servers give are told apart, and lists of tools are kept to", async () => {
  const host = await connect({
    a: { ...server(), tools: ["echo", "add"] },
    b: { ...server(), tools: ["echo"] },
  });
  expect(host.tools().map(({ name }) => name)).toEqual(["a.echo", "add", "b.echo"]);
  expect((await call(host, "b.echo", { text: "b" })).server).toBe("b");
  expect(host.tools()[0]).toBe(host.tools()[0]);
});

test("tools that a server gets later are there when it says so", async () => {
  let told = () => {};
  const changed = new Promise<void>((resolve) => {
    told = resolve;
  });
  let started = false;
  const host = await connect({ box: server() }, { onToolsChanged: () => started && told() });
  started = true;
  await call(host, "grow");
  await changed;
  expect((await call(host, "grown")).text).toBe("I am new");
});
