import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findLlamaCpp } from "../../src/bench/peers.ts";

const folder = mkdtempSync(join(tmpdir(), "minicpm-peers-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a peer is found in the first folder that has it", () => {
  const entry = join(folder, "node_modules/node-llama-cpp/dist/index.js");
  mkdirSync(join(entry, ".."), { recursive: true });
  writeFileSync(entry, "");
  expect(findLlamaCpp([join(folder, "nothing"), folder])).toBe(entry);
});

test("one that is not there is told with the places and the command", () => {
  const nowhere = join(folder, "nothing");
  expect(() => findLlamaCpp([nowhere])).toThrow(
    expect.objectContaining({
      code: "PEER_NOT_FOUND",
      searched: [join(nowhere, "node_modules/node-llama-cpp")],
      install: expect.stringMatching(/^npm install .*--ignore-scripts/),
    }),
  );
});
