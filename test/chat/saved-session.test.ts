/** Sessions on disk, through the API on the real addon. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { readSavedSession, writeSavedSession } from "../../src/chat/saved-session.ts";
import { loadModel, type Model, SavedSessionError, StorageError } from "../../src/index.ts";
import { addonPath } from "../../src/native/binding.ts";
import { testNeeding } from "../needs.ts";

const testNative = testNeeding([addonPath()], "npm run build:native");
const greedy = { temperature: 0, maxTokens: 30 };
const long = "Tell me about the capital of France, please. ".repeat(12);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-save-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A conversation of two turns, saved to `path`. @returns what a third turn is answered */
async function talkAndSave(model: Model, path: string): Promise<string> {
  await using session = model.createSession({ system: "Be brief." });
  await session.send(long, greedy);
  await session.send("Who are you?", greedy);
  await session.save(path);
  return (await session.send("And now?", greedy)).text;
}

function blockFiles(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".kv"))
    .map((name) => join(path, name));
}

testNative("a loaded session answers as the saved one would, and computes only what is new", async () => {
  const path = join(folder, "talk");
  let expected = "";
  {
    await using model = await loadModel("nano");
    expected = await talkAndSave(model, path);
  }
  await using model = await loadModel("nano");
  await using session = await model.loadSession(path);
  expect(session.messages).toHaveLength(5);
  const { text, usage } = await session.send("And now?", greedy);
  expect(text).toBe(expected);
  expect(usage.cached).toBeGreaterThan(usage.prompt - 40);
});

testNative("loading reads all full blocks and computes less than one", async () => {
  const path = join(folder, "talk");
  {
    await using model = await loadModel("nano");
    await talkAndSave(model, path);
  }
  await using model = await loadModel("nano");
  let last = { done: 0, cached: 0, total: 0 };
  await using session = await model.loadSession(path, { onProgress: (progress) => (last = progress) });
  expect(last.done).toBe(last.total);
  expect(last.cached).toBe(Math.floor((last.total - 1) / 64) * 64);
  expect(last.cached).toBeGreaterThanOrEqual(64);
  await session.save(path);
  expect(blockFiles(path)).toHaveLength(Math.floor(last.total / 64));
});

testNative("what is saved is for its owner's eyes, and a second save keeps nothing twice", async () => {
  const path = join(folder, "deep", "talk");
  await using model = await loadModel("nano");
  await talkAndSave(model, path);
  const before = blockFiles(path).map((file) => statSync(file).ino);
  await talkAndSave(model, path);
  expect(blockFiles(path).map((file) => statSync(file).ino)).toEqual(before);
  expect(readdirSync(path).sort()).toEqual([expect.stringMatching(/^blocks-/), "session.json"]);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  for (const file of [join(path, "session.json"), ...blockFiles(path)]) {
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
});

testNative("a session of other settings is told, and goes on from its words", async () => {
  const path = join(folder, "talk");
  {
    await using model = await loadModel("nano", { kvType: "f32" });
    await talkAndSave(model, path);
  }
  await using model = await loadModel("nano");
  const notices: string[] = [];
  await using session = await model.loadSession(path, { onNotice: (notice) => notices.push(notice) });
  expect(notices).toEqual([expect.stringMatching(/saved with another model, processor or settings/)]);
  const { text, usage } = await session.send("And now?", greedy);
  expect(usage.cached).toBe(0);
  const alone = await model.chat(
    [...session.messages.slice(0, 5), { role: "user", content: "And now?" }],
    greedy,
  );
  expect(alone.usage.completion).toBeGreaterThan(0);
  expect(text).not.toBe("");
});

testNative("a session of other rotary positions is refused with those that it has", async () => {
  const path = join(folder, "talk");
  await using model = await loadModel("nano");
  await talkAndSave(model, path);
  const file = join(path, "session.json");
  const saved = JSON.parse(readFileSync(file, "utf8"));
  expect(saved.rope).toBe("native");
  writeFileSync(file, JSON.stringify({ ...saved, rope: "128k" }));
  await expect(model.loadSession(path)).rejects.toMatchObject({
    code: "OPTION",
    message: expect.stringMatching(
      /^rope must be "128k", with which the session in .* was saved, not 'native'/,
    ),
  });
  writeFileSync(file, JSON.stringify({ ...saved, rope: "1M" }));
  await expect(model.loadSession(path)).rejects.toThrow(/no right rope/);
});

testNative("blocks that were changed, cut or lost are computed again, with the same answer", async () => {
  const path = join(folder, "talk");
  await using model = await loadModel("nano", { cacheBytes: 0 });
  const expected = await talkAndSave(model, path);
  const [first = "", second = "", third = ""] = blockFiles(path);
  const bytes = readFileSync(first);
  bytes[9000] = (bytes[9000] ?? 0) ^ 1;
  writeFileSync(first, bytes);
  truncateSync(second, 1000);
  rmSync(third);
  await using session = await model.loadSession(path);
  expect((await session.send("And now?", greedy)).text).toBe(expected);
});

testNative("what is no saved session is refused by name", async () => {
  await using model = await loadModel("tiny");
  await expect(model.loadSession(join(folder, "nothing"))).rejects.toBeInstanceOf(SavedSessionError);
  const path = join(folder, "talk");
  await model.createSession().save(path);
  const whole = JSON.parse(readFileSync(join(path, "session.json"), "utf8"));
  for (const wrong of [
    "",
    "{",
    "null",
    "[]",
    ...[
      { version: 2 },
      { tokens: [-1] },
      { tokens: "1" },
      { messages: [{ role: "user" }] },
      { blocks: "../elsewhere" },
      { transcript: { text: "", tokens: [], ends: [[1]] } },
      { contextLength: 0 },
    ].map((change) => JSON.stringify({ ...whole, ...change })),
  ]) {
    writeFileSync(join(path, "session.json"), wrong);
    await expect(model.loadSession(path), wrong).rejects.toMatchObject({ code: "SAVED_SESSION", path });
  }
});

testNative("a save that fails leaves the one before whole", async () => {
  const path = join(folder, "talk");
  await using model = await loadModel("tiny");
  await using session = model.createSession();
  await session.send(long, { ...greedy, ignoreEos: true });
  await session.save(path);
  const before = await readSavedSession(path);
  const failing = writeSavedSession(path, { ...before, model: "other" }, async () => {
    throw new StorageError(path, "no space left on device");
  });
  await expect(failing).rejects.toMatchObject({ code: "STORAGE" });
  expect(await readSavedSession(path)).toEqual(before);
  expect(blockFiles(path).length).toBeGreaterThan(0);
  expect(readdirSync(path)).toHaveLength(2);
  await expect(session.save(join(path, "session.json", "below-a-file"))).rejects.toBeInstanceOf(StorageError);
});

testNative("a session.json of another program is never replaced", async () => {
  await using model = await loadModel("tiny");
  const file = join(folder, "session.json");
  writeFileSync(file, '{"mine":true}');
  await expect(model.createSession().save(folder)).rejects.toThrow(/session\.json is not of this program/);
  expect(readFileSync(file, "utf8")).toBe('{"mine":true}');
  expect(readdirSync(folder)).toEqual(["session.json"]);
});

testNative("a cache directory serves another load with the same answer", async () => {
  const cacheDir = join(folder, "cache");
  const ask = async (options: object) => {
    await using model = await loadModel("nano", options);
    const result = await model.chat([{ role: "user", content: long }], greedy);
    return { ...result, status: model.cacheStatus() };
  };
  const first = await ask({ cacheDir });
  const second = await ask({ cacheDir });
  expect(second.text).toBe(first.text);
  expect(first.usage.cached).toBe(0);
  expect(second.usage.cached).toBe(Math.floor((second.usage.prompt - 1) / 64) * 64);
  expect(second.status).toMatchObject({ wrong: 0, problem: "" });
  expect((await ask({ cacheDir, kvType: "f32" })).usage.cached).toBe(0);
  expect((await ask({})).status).toBeUndefined();
});

testNative("a model whose weights changed shares nothing with what it was", async () => {
  const model = join(folder, "model");
  const cacheDir = join(folder, "cache");
  cpSync("models/tiny", model, { recursive: true });
  const cached = async () => {
    await using loaded = await loadModel(model, { cacheDir });
    return (await loaded.complete(long, { ...greedy, maxTokens: 1 })).usage.cached;
  };
  expect(await cached()).toBe(0);
  expect(await cached()).toBeGreaterThan(0);
  const weights = join(model, "model.safetensors");
  chmodSync(weights, 0o600);
  const bytes = readFileSync(weights);
  bytes[bytes.length - 2] = (bytes[bytes.length - 2] ?? 0) ^ 1;
  writeFileSync(weights, bytes);
  expect(await cached()).toBe(0);
});

testNative("what was read ahead is written when it resolves, and answers start from it", async () => {
  const cacheDir = join(folder, "cache");
  const system = { role: "system", content: long } as const;
  {
    await using model = await loadModel("nano", { cacheDir });
    const { total, cached } = await model.read([system]);
    expect(cached).toBe(0);
    expect(blockFiles(cacheDir)).toHaveLength(Math.floor(total / 64));
    expect((await model.read([system])).cached).toBeGreaterThan(total - 65);
  }
  await using model = await loadModel("nano", { cacheDir });
  const { usage } = await model.chat([system, { role: "user", content: "Hi" }], greedy);
  expect(usage.cached).toBeGreaterThanOrEqual(64);
  expect(existsSync(join(cacheDir, "lock"))).toBe(true);
});
