/** MCP servers from npm, through the tool loop, by a model whose answers are written down. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import type { McpHost } from "../../src/index.ts";
import { connectMcp } from "../../src/tools/connect-mcp.ts";
import { scriptedModel } from "../chat/scripted-model.ts";
import { testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { havePeers, how, peerServer, peers } from "./peer-servers.ts";

const testServers = testNeeding([peers], how);
const folder = scratchFolder();
const files = join(folder, "files");

const template = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}{% if tools %}{% endif %}`;

let host: McpHost;

beforeAll(async () => {
  if (!havePeers) return;
  mkdirSync(files);
  writeFileSync(join(files, "notes.txt"), "The meeting is at noon.");
  host = await connectMcp({
    mcpServers: {
      everything: peerServer("everything"),
      filesystem: peerServer("filesystem", files),
      memory: { ...peerServer("memory"), env: { MEMORY_FILE_PATH: join(folder, "memory.jsonl") } },
      thinking: peerServer("sequential-thinking"),
    },
  });
});
afterAll(() => host?.close());

/** What a model that makes these calls, one an answer, is told. */
async function told(...calls: string[]) {
  const answers = [...calls.map((call) => `<|tool_call_start|>\n${call}\n<|tool_call_end|>`), "Done."];
  const { model } = scriptedModel({ template, answers, contextLength: 16_000 });
  const tools = host.tools();
  const result = await model.chat([{ role: "user", content: "Go" }], { tools, toolSelection: "all" });
  expect(result.text).toBe("Done.");
  return (result.steps ?? []).flatMap(({ runs }) => runs.map(({ outcome, text }) => ({ outcome, text })));
}

testServers("all of them are there, with all of their tools", () => {
  expect(host.status().map(({ server, state }) => `${server} ${state}`)).toEqual([
    "everything ready",
    "filesystem ready",
    "memory ready",
    "thinking ready",
  ]);
  expect(host.tools().length).toBeGreaterThanOrEqual(35);
});

testServers("everything: numbers are added, texts echoed, images named", async () => {
  const runs = await told("get-sum(a=2,b=40)", 'echo(message="hi")', "get-tiny-image()");
  expect(runs[0]?.text).toMatch(/42/);
  expect(runs[1]?.text).toMatch(/hi/);
  expect(runs[2]?.text).toMatch(/\[image image\/png, \d+ bytes\]/);
});

testServers("filesystem: a file is read, and one outside the folder is an error that is told", async () => {
  const path = JSON.stringify(join(files, "notes.txt"));
  const runs = await told(`read_text_file(path=${path})`, 'read_text_file(path="/etc/passwd")');
  expect(runs[0]).toEqual({ outcome: "done", text: "The meeting is at noon." });
  expect(runs[1]?.outcome).toBe("error");
  expect(runs[1]?.text).toMatch(/access denied/i);
});

testServers("memory: lists of objects go through, and come back", async () => {
  const entities = '[{"name": "Ada", "entityType": "person", "observations": ["likes tea"]}]';
  const runs = await told(`create_entities(entities=${entities})`, "read_graph()");
  expect(runs.map(({ outcome }) => outcome)).toEqual(["done", "done"]);
  expect(runs[1]?.text).toMatch(/likes tea/);
});

testServers("sequential thinking: a thought is counted; one without its number is refused", async () => {
  const thought = 'thought="First.",nextThoughtNeeded=true,totalThoughts=2';
  const runs = await told(`sequentialthinking(${thought},thoughtNumber=1)`, `sequentialthinking(${thought})`);
  expect(runs[0]?.outcome).toBe("done");
  expect(runs[1]?.text).toMatch(/^Error: the arguments of sequentialthinking are wrong/);
});
