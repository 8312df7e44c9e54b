import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { root, testNeeding } from "../needs.ts";

/** Each example as a reader would run it, against the built package. */
const testBuilt = testNeeding([join(root, "dist/index.js")], "npm run build");

function run(name: string, ...words: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, [join(root, "test/examples", name), ...words], { cwd: root });
}

testBuilt("chat.mjs holds a conversation, and its second turn finds the first one held", async () => {
  const { stdout } = await run("chat.mjs");
  expect(stdout).toMatch(/^> Hello!\n.+\n\(\d+ tokens of prompt, 0 of them held already\)/);
  expect(stdout).toMatch(/> What is the capital of France\?\n.*Paris/);
  const cached = [...stdout.matchAll(/prompt, (\d+) of them/g)].map(([, count]) => Number(count));
  expect(cached[1]).toBeGreaterThan(10);
});

testBuilt("stream.mjs writes a story to stdout and everything else to stderr", async () => {
  const { stdout, stderr } = await run("stream.mjs");
  expect(stdout.length).toBeGreaterThan(100);
  expect(stderr).toMatch(/prompt: \d+ of \d+ tokens/);
  expect(stderr).toMatch(/(stop|length) after \d+ tokens, \d+ a second/);
});

testBuilt("abort.mjs stops early and keeps the beginning", async () => {
  const { stdout } = await run("abort.mjs");
  const [, tokens] = /\nStopped: aborted after (\d+) tokens\.\n$/.exec(stdout) ?? [];
  expect(Number(tokens)).toBeGreaterThan(0);
  expect(Number(tokens)).toBeLessThan(500);
});

testBuilt("tools.mjs adds two numbers by a function of its own that the model calls", async () => {
  const { stdout } = await run("tools.mjs");
  expect(stdout).toMatch(/^> What is 17 plus 25\?\nget_sum\(\{"a":17,"b":25\}\) -> \{"result":42\}\n.*42/);
});

testBuilt("complete.mjs goes on with a text and says how likely that was", async () => {
  const { stdout } = await run("complete.mjs", "nano", "Once upon a time");
  expect(stdout).toMatch(/^Once upon a time.{20,}/);
  expect(stdout).toMatch(/mean log-probability of a token: -\d+\.\d\d\n$/);
});
