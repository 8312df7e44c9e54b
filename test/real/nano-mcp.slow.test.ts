/** nano with MCP servers from npm: it calls what it is asked to, and tells what came of it. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { loadModel, type McpHost, type Model } from "../../src/index.ts";
import { connectMcp } from "../../src/tools/connect-mcp.ts";
import { testNeeding } from "../needs.ts";
import { havePeers, how, peerServer, peers } from "./peer-servers.ts";

const testNano = testNeeding([peers], how);
/** The same in every run: it is part of what the model reads. */
const files = join(tmpdir(), "minicpm-nano-files");

let host: McpHost;
let model: Model;

beforeAll(async () => {
  if (!havePeers) return;
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, "notes.txt"), "The code for the tower is 4711.");
  host = await connectMcp({
    mcpServers: { everything: peerServer("everything"), filesystem: peerServer("filesystem", files) },
  });
  model = await loadModel("nano");
});
afterAll(async () => {
  await model?.close();
  await host?.close();
  rmSync(files, { recursive: true, force: true });
});

/** What nano calls and says when it is offered three tools. */
async function asked(content: string) {
  const tools = host.tools().filter(({ name }) => ["read_text_file", "get-sum", "echo"].includes(name));
  const messages = [
    { role: "system", content: "You are a helpful assistant." },
    { role: "user", content },
  ] as const;
  const { text, steps = [] } = await model.chat(messages, { tools, temperature: 0 });
  const runs = steps.flatMap(({ runs }) =>
    runs.map(({ call, outcome, text }) => ({ ...call, outcome, text })),
  );
  return { text, runs };
}

testNano("a file that it is asked about is read", async () => {
  const { text, runs } = await asked(`Read the file ${join(files, "notes.txt")}.`);
  expect(runs).toMatchObject([{ name: "read_text_file", outcome: "done" }]);
  expect(text).toContain("4711");
});

testNano("two numbers are added", async () => {
  const { text, runs } = await asked("What is 17 plus 25?");
  expect(runs).toMatchObject([{ name: "get-sum", arguments: { a: 17, b: 25 }, outcome: "done" }]);
  expect(text).toContain("42");
});

testNano("a text is echoed", async () => {
  const { text, runs } = await asked("Please echo quiet river.");
  expect(runs).toMatchObject([{ name: "echo", arguments: { message: "quiet river" }, outcome: "done" }]);
  expect(text).toContain("quiet river");
});

testNano("of a file outside of the folder it says that it could not be read", async () => {
  const { text, runs } = await asked("Read the file /etc/passwd.");
  expect(runs).toMatchObject([{ name: "read_text_file", outcome: "error" }]);
  expect(text).toMatch(/could not|may not|not allowed|denied/);
});
