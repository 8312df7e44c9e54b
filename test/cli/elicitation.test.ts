import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Elicitation, elicitOn } from "../../src/cli/elicitation.ts";
import type { Line } from "../../src/cli/line-source.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { connectMcp } from "../../src/index.ts";
import { makeCall } from "../../src/tools/make-call.ts";
import { root } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { minicpm } from "./cli-process.ts";

const fixture = `${root}test/tools/fixture-server.mjs`;
const box = { command: process.execPath, args: [fixture] };

/** Somebody who types these lines, then Ctrl-C. */
function somebody(...lines: string[]) {
  const told: string[] = [];
  let interrupts = 0;
  const write = (text: string) => told.push(text);
  const terminal = new Terminal({ stdout: { write }, stderr: { write }, env: {} } as never);
  const read = async (prompt: string): Promise<Line> => {
    told.push(prompt);
    const text = lines.shift();
    return text === undefined ? { type: "interrupt", empty: true } : { type: "line", text, typed: text };
  };
  const ask = elicitOn({ read }, terminal, () => interrupts++);
  return { ask, terminal, told, interrupts: () => interrupts };
}

/** What the tool that asks for a person is told. */
async function asked(ask: Elicitation["ask"], terminal: Terminal) {
  const elicitation = new Elicitation(terminal);
  elicitation.ask = ask;
  await using host = await connectMcp({ mcpServers: { box } }, { onElicit: elicitation.answer });
  const { signal } = new AbortController();
  const call = { name: "ask", arguments: {} };
  const run = await makeCall(call, { tools: host.tools(), timeoutMs: 30_000, signal });
  expect(run.outcome).toBe("done");
  return JSON.parse(run.text);
}

test("a server's form is filled in field by field, asking again where its schema does not allow what was typed", async () => {
  const { ask, terminal, told } = somebody("what?", "y", "", "Ada", "-1", "old", "36", "green", "2", "");
  expect(await asked(ask, terminal)).toEqual({
    action: "accept",
    content: { name: "Ada", age: 36, colour: "blue", news: false },
  });
  expect(told.join("")).toMatch(/MCP server box asks: Who are you\?/);
  expect(told).toContain("name (as others call you): ");
  expect(told).toContain("age {may be left out}: ");
  expect(told).toContain("colour [1 red, 2 blue]: ");
  expect(told).toContain("news [y/n] {false}: ");
  expect(told.join("")).toMatch(/name: is missing.*age: it must be >= 0.*age: it must be integer/s);
});

test("it can be declined, and Ctrl-C cancels it", async () => {
  const no = somebody("n");
  expect(await asked(no.ask, no.terminal)).toEqual({ action: "decline" });
  expect(no.interrupts()).toBe(0);
  const gone = somebody("y", "Ada");
  expect(await asked(gone.ask, gone.terminal)).toEqual({ action: "cancel" });
  expect(gone.interrupts()).toBe(1);
});

test("without anybody it is declined, and said", async () => {
  const { terminal, told } = somebody();
  expect(await asked(undefined, terminal)).toEqual({ action: "decline" });
  expect(told.join("")).toBe("MCP server box asks, and nobody is there to answer: Who are you?\n");
});

test("a page to visit is named, and only http and https are", async () => {
  const { ask, told } = somebody("y", "n");
  const page = { mode: "url", message: "Sign in", elicitationId: "1", url: "https://example.com/a" } as const;
  expect(await ask("box", page)).toEqual({ action: "accept" });
  expect(told.at(-1)).toBe("Open https://example.com/a in a browser, if you trust it. Done? [y]es, [n]o: ");
  expect(await ask("box", page)).toEqual({ action: "decline" });
  expect(await ask("box", { ...page, url: "file:///etc/passwd" })).toEqual({ action: "decline" });
});

test("several may be chosen from a list, by number, value or title", async () => {
  const items = {
    anyOf: [
      { const: "r", title: "Red" },
      { const: "g", title: "Green" },
      { const: "b", title: "Blue" },
    ],
  };
  const requestedSchema = {
    type: "object",
    properties: { colours: { type: "array", title: "Colours", items, minItems: 2 } },
  } as const;
  const { ask, told } = somebody("y", "1", "1, Green,b");
  const answer = await ask("box", { message: "Which?", requestedSchema } as never);
  expect(answer).toEqual({ action: "accept", content: { colours: ["r", "g", "b"] } });
  expect(told).toContain("Colours [some of 1 Red, 2 Green, 3 Blue] {may be left out}: ");
});

test("what a server asks moves no cursor", async () => {
  const { ask, told } = somebody("y", "x");
  const properties = { "a\x1b[2J": { type: "string", description: "\x1b]0;t\x07" } };
  await ask("box", { message: "\x1b[31mred", requestedSchema: { type: "object", properties } } as never);
  expect(told.join("")).not.toContain("\x1b");
});

test("`minicpm mcp call` declines for nobody", async () => {
  const servers = join(scratchFolder(), "mcp.json");
  writeFileSync(servers, JSON.stringify({ mcpServers: { box } }));
  const { code, out, err } = await minicpm(["mcp", "call", "ask", "--mcp", servers]);
  expect([code, JSON.parse(out)]).toEqual([0, { action: "decline" }]);
  expect(err).toMatch(/nobody is there to answer: Who are you\?/);
});
