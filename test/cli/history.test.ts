import { readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { History, historyPath } from "../../src/cli/history.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();

const mode = (path: string) => statSync(path).mode & 0o777;

test("the file is under the XDG state folder, wherever the program is started", () => {
  expect(historyPath({ XDG_STATE_HOME: "/state" })).toBe("/state/minicpm/history");
  expect(historyPath({})).toBe(join(homedir(), ".local/state/minicpm/history"));
  expect(historyPath({ XDG_STATE_HOME: "not/absolute" })).toBe(historyPath({}));
});

test("messages come back in another process, several lines too, for their owner's eyes only", () => {
  const path = join(folder, "new", "history");
  const history = History.open(path);
  history.add("one");
  history.add("two\nlines");
  history.add("two\nlines");
  history.add("  ");
  expect(History.open(path).latestFirst()).toEqual(["two\nlines", "one"]);
  expect([mode(path), mode(join(folder, "new"))]).toEqual([0o600, 0o700]);
});

test("a file that others could read is closed to them", () => {
  const path = join(folder, "open");
  writeFileSync(path, "", { mode: 0o644 });
  History.open(path).add("secret");
  expect(mode(path)).toBe(0o600);
});

test("half a line, as a crash leaves it, is passed over", () => {
  const path = join(folder, "half");
  writeFileSync(path, '"whole"\n{"a":1}\n"hal');
  const history = History.open(path);
  expect(history.latestFirst()).toEqual(["whole"]);
});

test("a long file is cut to its latest thousand", () => {
  const path = join(folder, "long");
  writeFileSync(path, Array.from({ length: 2001 }, (_, i) => `"${i}"\n`).join(""));
  expect(History.open(path).latestFirst()).toHaveLength(1000);
  expect(readFileSync(path, "utf8").split("\n")[0]).toBe('"1001"');
  expect(mode(path)).toBe(0o600);
});

test("a forgetful history remembers within the chat", () => {
  const history = History.forgetful();
  history.add("one");
  expect(history.latestFirst()).toEqual(["one"]);
});
