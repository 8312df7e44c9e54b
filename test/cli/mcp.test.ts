import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectMcp } from "../../src/tools/connect-mcp.ts";
import { root } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { builtMain, childEnvironment, minicpm, nano, testNative } from "./cli-process.ts";

const folder = scratchFolder();
const file = (name: string, servers: object) => {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify({ mcpServers: servers }));
  return path;
};
const box = { command: process.execPath, args: [`${root}test/tools/fixture-server.mjs`] };
const good = file("good.json", { box: { ...box, tools: ["echo", "add", "hang", "exit"] } });
const bad = file("bad.json", { box: { ...box, tools: ["echo"] }, gone: { command: "no-such-program" } });

test("mcp list shows how servers are, and fails where one is not there", async () => {
  const fine = await minicpm(["mcp", "list", "--mcp", good]);
  expect(fine).toMatchObject({ code: 0, err: "" });
  expect(fine.out).toMatch(/^box {2}ready {2}4 tools {2}fixture 1\.0\.0/);
  const wrong = await minicpm(["mcp", "list", "--mcp", bad, "--json"]);
  expect(wrong.code).toBe(1);
  expect(JSON.parse(wrong.out)).toMatchObject([{ state: "ready" }, { server: "gone", state: "failed" }]);
});

test("mcp tools lists tools, mcp call calls one", async () => {
  expect((await minicpm(["mcp", "tools", "--mcp", good])).out).toMatch(
    /^echo {2}box {2}Does echo\.\nadd {3}box/,
  );
  const sum = ["mcp", "call", "add", '{"a": 17, "b": 25}', "--mcp", good];
  expect(await minicpm(sum)).toMatchObject({ code: 0, out: "42\n" });
  const json = await minicpm([...sum, "--json"]);
  expect(JSON.parse(json.out)).toMatchObject({ outcome: "done", result: { structured: { sum: 42 } } });
  const wrong = await minicpm(["mcp", "call", "add", '{"a": "x"}', "--mcp", good]);
  expect(wrong).toMatchObject({ code: 1, out: "" });
  expect(wrong.err).toMatch(/the arguments of add are wrong/);
  expect(await minicpm(["mcp", "call", "add", "[", "--mcp", good])).toMatchObject({ code: 2 });
});

test("mcp check finds the tool that never answers, and leaves alone what may change something", async () => {
  const { code, out, err } = await minicpm(["mcp", "check", "--mcp", good, "--timeout", "1"]);
  expect(code).toBe(1);
  expect(out).toMatch(
    /answers +echo: test\nanswers +add: 2\nsilent +hang: .*longer than 1 s\nskipped +exit: it may/,
  );
  expect(err).toMatch(/2 tools answered, 1 did not, 1 skipped/);
  const unasked = await minicpm(["mcp", "check", "--mcp", good, "--call", "exit"]);
  expect(unasked).toMatchObject({ code: 2 });
});

testNative("mcp serve serves the model over stdio", async () => {
  const args = [builtMain(), "mcp", "serve", nano, "--temperature", "0", "--quiet"];
  const env = childEnvironment() as Record<string, string>;
  await using host = await connectMcp({ mcpServers: { model: { command: process.execPath, args, env } } });
  expect(host.status()).toMatchObject([{ state: "ready", implementation: /^minicpm / }]);
  expect(host.tools().map(({ name }) => name)).toEqual(["chat", "complete", "extract", "count_tokens"]);
  const context = { signal: new AbortController().signal, onProgress: () => {} };
  const call = (name: string, given: object) =>
    host
      .tools()
      .find((tool) => tool.name === name)
      ?.call(given as never, context);
  expect(await call("chat", { prompt: "What is the capital of France?" })).toEqual({
    content: [{ type: "text", text: "The capital of France is Paris." }],
  });
  const schema = {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  };
  const extracted = await call("extract", { text: "I live in Oslo.", schema });
  expect(extracted?.structured).toEqual({ city: expect.any(String) });
  expect(await call("count_tokens", { text: "one two" })).toMatchObject({
    structured: { tokens: expect.any(Number), contextLength: expect.any(Number) },
  });
});
