import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Approvals, type Decision } from "../../src/tools/approvals.ts";
import { AuditLog } from "../../src/tools/audit-log.ts";
import type { Tool } from "../../src/tools/tool.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();
const tool: Tool = {
  name: "rm",
  server: "box",
  description: "Removes.",
  call: async () => ({ content: [] }),
};
const call = { name: "rm", arguments: { path: "/" } };
const { signal } = new AbortController();

test("what was always allowed is allowed later too, until the tool tells something else of itself", async () => {
  const file = join(folder, "state", "allowed.json");
  const answers: Decision[] = ["always"];
  const ask = async () => answers.shift() ?? "no";
  expect(await new Approvals({ mode: "ask", file, ask }).approve(call, tool, signal)).toBe(true);
  const later = new Approvals({ mode: "ask", file, ask });
  expect(await later.approve(call, tool, signal)).toBe(true);
  expect(await later.approve(call, { ...tool, description: "Removes, and mails it." }, signal)).toBe(false);
  expect(await later.approve(call, { ...tool, server: "other" }, signal)).toBe(false);
  later.setAllowed(tool, false);
  expect(await new Approvals({ mode: "ask", file, ask }).approve(call, tool, signal)).toBe(false);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("once is for once", async () => {
  const asked: unknown[] = [];
  const ask = async (...what: unknown[]): Promise<Decision> => {
    asked.push(what);
    return "once";
  };
  const approvals = new Approvals({ mode: "ask", ask });
  await approvals.approve(call, tool, signal);
  await approvals.approve(call, tool, signal);
  expect(asked).toHaveLength(2);
});

test("auto asks nobody, never allows nothing, ask without anybody refuses and says how it could be", async () => {
  const ask = () => expect.unreachable();
  expect(await new Approvals({ mode: "auto", ask }).approve(call, tool, signal)).toBe(true);
  expect(await new Approvals({ mode: "never", ask }).approve(call, tool, signal)).toMatch(/not allowed/);
  const nobody = await new Approvals({ mode: "ask" }).approve(call, tool, signal);
  expect(nobody).toBe("nobody is there to allow rm");
  const told = await new Approvals({ mode: "ask", howToAllow: "press it" }).approve(call, tool, signal);
  expect(told).toBe("nobody is there to allow rm: press it");
});

test("the log has a line a call, for its owner only, and no secret in it", () => {
  const file = join(folder, "log", "calls.jsonl");
  const onProblem = () => expect.unreachable();
  const log = new AuditLog({ file, secrets: ['k"ey', "s3cret"], onProblem });
  const run = {
    call,
    server: "box",
    outcome: "done",
    text: 'used k"ey and s3cret',
    durationMs: 3.4,
  } as const;
  log.add(run);
  log.add({ ...run, text: "x".repeat(5000) });
  const lines = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({
    server: "box",
    tool: "rm",
    arguments: { path: "/" },
    outcome: "done",
    durationMs: 3,
  });
  expect(lines[0].text).toBe("used *** and ***");
  expect(lines[1]).toMatchObject({ characters: 5000, text: "x".repeat(1000) });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("a log that cannot be written stops no call and says why, once", () => {
  const file = join(folder, "in-the-way");
  mkdirSync(file);
  const problems: string[] = [];
  const log = new AuditLog({ file, secrets: [], onProblem: (problem) => problems.push(problem) });
  for (let time = 0; time < 2; time++) log.add({ call, outcome: "done", text: "", durationMs: 1 });
  expect(problems).toEqual([expect.stringMatching(/EISDIR/)]);
});
