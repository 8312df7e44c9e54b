import { expect, test } from "vitest";
import { Elicitation } from "../../src/cli/elicitation.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { OpenTools } from "../../src/cli/tool-options.ts";
import type { McpHost } from "../../src/index.ts";
import { Approvals } from "../../src/tools/approvals.ts";
import type { Tool } from "../../src/tools/tool.ts";
import { chatOver } from "./scripted-chat.ts";

const call: Tool["call"] = async () => ({ content: [] });
const status = { server: "box", state: "failed", tools: 0, problem: "it has ended", restarts: 5 } as const;

function openTools() {
  const host = {
    tools: () => [{ name: "rm", server: "box", description: "Removes.", call }],
    status: () => [status],
  };
  const approvals = new Approvals({ mode: "ask" });
  const tools = new OpenTools({
    own: [{ name: "mine", description: "Mine." }],
    host: host as unknown as McpHost,
    approvals,
    elicitation: new Elicitation(new Terminal()),
    flags: {},
  });
  return { tools, approvals };
}

test("/tools lists what may be called and whose it is, /servers how servers are", async () => {
  const { err } = await chatOver(["/tools", "/servers"], [], { tools: openTools().tools });
  expect(err).toMatch(/mine +printed only +Mine\.\n +rm +box +Removes\./);
  expect(err).toMatch(/box +failed +0 tools +it has ended/);
});

test("/approve changes who decides, and allows a tool for good", async () => {
  const { tools, approvals } = openTools();
  const { err } = await chatOver(
    ["/approve", "/approve rm", "/tools", "/approve auto", "/approve nothing"],
    [],
    { tools },
  );
  expect(err).toMatch(
    /approve: ask\nrm is always allowed\.\n.*\n +rm .*always allowed\napprove: auto\nThere is no tool nothing/,
  );
  expect(approvals.mode).toBe("auto");
});

test("without tools the commands say how to get some", async () => {
  const { err } = await chatOver(["/tools", "/approve auto", "/servers"], []);
  expect(err).toMatch(
    /There are no tools\. Start with --tools FILE or --mcp FILE\.\nThere are no tools.*\nThere are no MCP servers/,
  );
});

test("an answer is given the tools, how to ask about calls, and what is left to flags", async () => {
  const { session } = await chatOver(["hi"], ["Hello."], { tools: openTools().tools });
  expect(session.sent[0]?.tools?.map(({ name }) => name)).toEqual(["mine", "rm"]);
  expect(session.sent[0]?.approve).toBeTypeOf("function");
});
