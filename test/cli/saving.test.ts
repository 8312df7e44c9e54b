import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withDocuments } from "../../src/cli/documents.ts";
import { cacheFolder, lastChatFolder } from "../../src/cli/folders.ts";
import { readingStatus } from "../../src/cli/read.ts";
import { minicpm, nano, testNative } from "./cli-process.ts";
import { PseudoTerminal, testTerminal } from "./pseudo-terminal.ts";

const greedy = ["--temperature", "0"];

let folder = "";
let env: Record<string, string> = {};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-saving-"));
  env = { XDG_CACHE_HOME: join(folder, "cache"), XDG_STATE_HOME: join(folder, "state") };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ask = (words: readonly string[], input = "") => minicpm([...words, ...greedy], { input, env });

/** The results among the events of `--json`. */
function results(out: string): { text: string; usage: { prompt: number; cached: number } }[] {
  const events = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return events.filter(({ type }) => type === "finish").map(({ result }) => result);
}

test("kept things lie where the XDG specification wants them", () => {
  expect(cacheFolder({ XDG_CACHE_HOME: "/c" })).toBe("/c/minicpm/blocks");
  expect(cacheFolder({ XDG_CACHE_HOME: "not/absolute" })).toBe(cacheFolder({}));
  expect(cacheFolder({})).toMatch(/\/\.cache\/minicpm\/blocks$/);
  expect(lastChatFolder({ XDG_STATE_HOME: "/s" })).toBe("/s/minicpm/last-chat");
  expect(lastChatFolder({})).toMatch(/\/\.local\/state\/minicpm\/last-chat$/);
});

test("documents stand under their names, before the instructions", () => {
  const [a, b] = [join(folder, "a.txt"), join(folder, "b.md")];
  writeFileSync(a, "one");
  writeFileSync(b, "two");
  expect(withDocuments([a, b], "Be brief.")).toBe("a.txt:\n\none\n\nb.md:\n\ntwo\n\nBe brief.");
  expect(withDocuments([], "Be brief.")).toBe("Be brief.");
  expect(withDocuments([])).toBeUndefined();
  expect(() => withDocuments([join(folder, "none.txt")])).toThrow(
    /none\.txt cannot be read: there is no such file\.$/,
  );
  expect(() => withDocuments([folder])).toThrow(/cannot be read: it is a folder\.$/);
  writeFileSync(a, Buffer.from([0xff, 0xfe, 0]));
  expect(() => withDocuments([a])).toThrow(/a\.txt is no UTF-8 text/);
});

test("the bar of read fills up", () => {
  expect(readingStatus(0, 4000)).toBe("reading [                    ] 0 % of 3.9K tokens");
  expect(readingStatus(2000, 4000)).toBe("reading [##########          ] 50 % of 3.9K tokens");
  expect(readingStatus(4000, 4000)).toBe("reading [####################] 100 % of 3.9K tokens");
});

testNative("/save and --resume FOLDER go on with the same conversation, in another process", async () => {
  const talk = join(folder, "talk");
  const first = await ask(["chat", nano], `hi\n/save ${talk}\nWho are you?\n`);
  expect(first.err).toMatch(/Saved: 1 turn in /);
  const second = await ask(["chat", nano, "--resume", talk], "Who are you?\n");
  expect(second.err).toMatch(/Going on after 1 turn\./);
  expect(second.out).toBe(first.out.split("\n").slice(1).join("\n"));
});

testNative("a resumed chat is kept after every answer, for --resume alone", async () => {
  const talk = join(folder, "talk");
  await ask(["chat", nano], `hi\n/save ${talk}\n`);
  await ask(["chat", nano, "--resume", talk], "Who are you?\n");
  const { err } = await ask(["chat", nano, "--resume"], "/stats\n");
  expect(err).toMatch(/Going on after 2 turns\./);
});

testNative("/load replaces the conversation; what is no save is told and ends a pipe", async () => {
  const talk = join(folder, "talk");
  const { out, err } = await ask(["chat", nano], `hi\n/save ${talk}\nhi\nhi\n/load ${talk}\n/stats\n`);
  expect(out.trimEnd().split("\n")).toHaveLength(3);
  expect(err).toMatch(/Going on after 1 turn\.[\s\S]*1 turn\b/);
  const wrong = await ask(["chat", nano], `/load ${join(folder, "nothing")}\n`);
  expect(wrong.code).toBe(1);
  expect(wrong.err).toMatch(/holds no session that can be loaded/);
  expect((await ask(["chat", nano, "--resume"])).code).toBe(1);
});

testTerminal("a chat on a terminal that is killed after an answer is there for --resume", async () => {
  const chat = new PseudoTerminal(["chat", nano, ...greedy], env);
  await chat.waitFor("> ");
  chat.type("hi\r");
  await chat.waitFor("ctx ");
  await chat.waitFor("> ");
  chat.kill();
  const { err } = await ask(["chat", nano, "--resume"], "/stats\n");
  expect(err).toMatch(/Going on after 1 turn\./);
});

testNative("what read has read, chat --with starts from, under any instructions", async () => {
  const file = join(folder, "notes.txt");
  writeFileSync(file, "The capital of France is Paris. ".repeat(30));
  const read = await minicpm(["read", file, "-m", nano, "--json"], { env });
  const { tokens, cached } = JSON.parse(read.out);
  expect(cached).toBe(0);
  const chat = ["chat", nano, "-s", "Be brief.", "-p", "hi", "--json", "--with", file];
  const [with_] = results((await minicpm([...chat, ...greedy], { env })).out);
  expect(with_?.usage.cached).toBeGreaterThan(tokens - 70);
  const [without] = results((await minicpm([...chat, "--no-cache", ...greedy], { env })).out);
  expect(without?.usage.cached).toBe(0);
  expect(with_?.text).toBe(without?.text);
});

testNative("cache ls shows what is kept and cache clear removes it", async () => {
  const list = async () => JSON.parse((await minicpm(["cache", "ls", "--json"], { env })).out);
  expect(await list()).toMatchObject({ bytes: 0, models: [] });
  const file = join(folder, "notes.txt");
  writeFileSync(file, "The capital of France is Paris. ".repeat(30));
  await minicpm(["read", file, "-m", nano], { env });
  const { folder: where, models } = await list();
  expect(models).toHaveLength(1);
  expect(models[0].blocks).toBeGreaterThan(2);
  expect((await minicpm(["cache", "ls"], { env })).out).toContain(models[0].fingerprint);
  const cleared = await minicpm(["cache", "clear"], { env });
  expect(cleared.out).toMatch(/^Removed \d+ blocks, .* [KM]iB\.\n$/);
  expect(await list()).toMatchObject({ bytes: 0, models: [] });
  expect(readdirSync(where)).toEqual(["lock"]);
});

testNative("a model that has kept nothing yet is not in the list", async () => {
  const documents = join(folder, "long.txt");
  writeFileSync(documents, "word ".repeat(6000));
  expect((await minicpm(["read", documents, "-m", nano], { env })).code).toBe(1); // does not fit
  expect(JSON.parse((await minicpm(["cache", "ls", "--json"], { env })).out).models).toEqual([]);
});
