import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { showAnswer } from "../../src/cli/answer.ts";
import { fitWidth } from "../../src/cli/display-width.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { askOn } from "../../src/cli/tool-approval.ts";
import { approvalQuestion, runLine } from "../../src/cli/tool-lines.ts";
import { openTools, type ToolFlags } from "../../src/cli/tool-options.ts";
import type { ApprovalsOptions } from "../../src/tools/approvals.ts";
import { scriptedModel } from "../chat/scripted-model.ts";
import { root } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { minicpm, nano, testNative } from "./cli-process.ts";

const folder = scratchFolder();
const servers = join(folder, "mcp.json");
const fixture = `${root}test/tools/fixture-server.mjs`;
writeFileSync(
  servers,
  JSON.stringify({ mcpServers: { box: { command: process.execPath, args: [fixture] } } }),
);
const module = join(folder, "tools.mjs");
writeFileSync(
  module,
  `const call = async () => ({ content: [{ type: "text", text: "echoed" }] });
  export default [{ name: "echo", description: "Says it again.", call }];`,
);

const broken = join(folder, "broken.mjs");
writeFileSync(broken, "export default [;");

const template = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}{% if tools %}{% endif %}`;

/** What is shown of an answer that calls echo, by a model that is written down. */
async function answerWith(flags: ToolFlags, ask?: ApprovalsOptions["ask"], { keep = false, calls = 1 } = {}) {
  let err = "";
  let out = "";
  const stderr = { isTTY: false, columns: 80, write: (text: string) => (err += text) };
  const stdout = { isTTY: false, columns: 80, write: (text: string) => (out += text) };
  const terminal = new Terminal({ stdout, stderr, env: {} } as never);
  await using tools = await openTools(flags, terminal, { keep, ask });
  const call = '<|tool_call_start|>\necho(text="hi")\n<|tool_call_end|>';
  const answers = [...Array.from({ length: calls }, () => call), "Done."];
  const { model } = scriptedModel({ template, answers, contextLength: 2000 });
  const asked = model.chat([{ role: "user", content: "Go" }], { ...tools?.use() });
  const result = await showAnswer(asked, terminal);
  return { err, out, result };
}

test("without a terminal a call is refused, and the flag that allows it is named", async () => {
  const { err, out } = await answerWith({ tools: [module] });
  expect(err).toMatch(/^call: echo {"text":"hi"}\nrefused: echo: nobody is there .*--tool-approve auto/);
  expect(out).toBe("Done.\n");
});

test("--tool-approve auto makes calls, never makes none, --tool-dry-run shows what it would be", async () => {
  const auto = await answerWith({ tools: [module], toolApprove: "auto" });
  expect(auto.err).toMatch(/result: echo .*: echoed/);
  expect((await answerWith({ tools: [module], toolApprove: "never" })).err).toMatch(/refused: echo/);
  const dry = await answerWith({ tools: [module], toolApprove: "auto", toolDryRun: true });
  expect(dry.err).toMatch(/dry run: echo/);
  expect(dry.result.finishReason).toBe("calls");
});

test("a log of calls that cannot be written is told once, and the calls are made", async () => {
  const state = join(folder, "state");
  mkdirSync(join(state, "minicpm", "tool-calls.jsonl"), { recursive: true });
  vi.stubEnv("XDG_STATE_HOME", state);
  const flags = { tools: [module], toolApprove: "auto" } as const;
  const { err, out } = await answerWith(flags, undefined, { keep: true, calls: 2 }).finally(vi.unstubAllEnvs);
  expect(err.match(/^Calls are not logged: EISDIR.*tool-calls\.jsonl/gm)).toHaveLength(1);
  expect(err.match(/^result: echo/gm)).toHaveLength(2);
  expect(out).toBe("Done.\n");
});

test("whoever is asked decides, and is told what will be called", async () => {
  const questions: string[] = [];
  const ask: ApprovalsOptions["ask"] = async (call, tool) => {
    questions.push(approvalQuestion(call, tool));
    return "once";
  };
  const { err } = await answerWith({ mcp: [servers] }, ask);
  expect(err).toMatch(/result: echo .*: hi/);
  expect(questions[0]).toBe(
    'Call echo of box, which says that it changes nothing, with {"text":"hi"}? [y]es, [n]o, [a]lways: ',
  );
});

test("a line that is no decision asks again, and Ctrl-C is a no", async () => {
  const lines = ["what?", "a"].map((text) => ({ type: "line", text, typed: text }) as const);
  const terminal = new Terminal({ stdout: { write() {} }, stderr: { write() {} }, env: {} } as never);
  let interrupted = 0;
  const read = async () => lines.shift() ?? ({ type: "interrupt", empty: true } as const);
  const ask = askOn({ read }, terminal, () => interrupted++);
  const call = { name: "echo", arguments: {} };
  const { signal } = new AbortController();
  expect(await ask(call, { name: "echo", call: async () => ({ content: [] }) }, signal)).toBe("always");
  expect(await ask(call, { name: "echo", call: async () => ({ content: [] }) }, signal)).toBe("no");
  expect(interrupted).toBe(1);
});

testNative("servers that are not there are told, and the answer comes all the same", async () => {
  const absent = join(folder, "absent.json");
  writeFileSync(absent, JSON.stringify({ mcpServers: { gone: { command: "no-such-program" } } }));
  const { code, err, out } = await minicpm(["run", nano, "hi", "--mcp", absent, "--temperature", "0"]);
  expect(code).toBe(0);
  expect(err).toMatch(/MCP server gone: .*ENOENT/);
  expect(out).not.toBe("");
});

test.each([
  [["run", "--tools", "none.mjs"], /^error: none\.mjs cannot be read: there is no such file\.$/],
  [["chat", "--tools", "none.json"], /^error: none\.json cannot be read: there is no such file\.$/],
  [["run", "--mcp", "none.json"], /^error: none\.json cannot be read: there is no such file\.$/],
  [["mcp list", "--mcp", "none.json"], /^error: none\.json cannot be read: there is no such file\.$/],
  [["run", "--mcp", module], /^error: .*tools\.mjs is no JSON: /],
  [["run", "--tools", servers], /^error: .*mcp\.json has no list of tools: export one as `tools`/],
  [["run", "--tools", broken], /^error: .*broken\.mjs is no module of tools: /],
])("%j is refused before anything is loaded, in a sentence", async ([command = "", ...flags], reason) => {
  const words = command === "run" ? ["run", nano, "hi"] : command.split(" ");
  const { code, out, err } = await minicpm([...words, ...flags], { cwd: folder });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err.trimEnd()).toMatch(reason);
});

test.each([
  [["--tool-choice", "required"], /no tools for --tool-choice: add --tools FILE or --mcp FILE/],
  [["--tool-dry-run", "--max-steps", "2"], /no tools for --tool-dry-run, --max-steps:/],
  [["--tool-selection", "all"], /no tools for --tool-selection:/],
])("without tools %j is refused, not passed over", async (flags, reason) => {
  for (const words of [
    ["run", nano, "hi"],
    ["chat", nano],
  ]) {
    const { code, out, err } = await minicpm([...words, ...flags]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(reason);
  }
});

test("a long result is folded to a line, all of it is shown if asked for", () => {
  const text = `one\ntwo ${"x".repeat(300)}`;
  const run = { call: { name: "f", arguments: {} }, outcome: "done", text, durationMs: 12 } as const;
  expect(runLine(run, false)).toBe(
    `result: f 12 ms: ${fitWidth(text.replace("\n", " "), 100)} (${text.length} characters)`,
  );
  expect(runLine(run, true)).toBe(`result: f 12 ms: ${text}`);
  expect(runLine({ ...run, outcome: "error", text: "Error: no disk" }, false)).toBe(
    "failed: f 12 ms: no disk",
  );
});
