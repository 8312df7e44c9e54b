/** Disks that take nothing more: the save before stays whole, and answers go on. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { readSavedSession } from "../../src/chat/saved-session.ts";
import { loadModel } from "../../src/index.ts";
import { builtMain, testNative } from "../cli/cli-process.ts";
import { root } from "../needs.ts";

const saver = join(root, "test/real/children/saver.mjs");
const nobody = 65534;

let folder = "";
beforeEach(async () => {
  builtMain();
  folder = mkdtempSync(join(tmpdir(), "minicpm-unwritable-"));
  await using model = await loadModel("tiny", { cacheDir: join(folder, "cache") });
  await using session = model.createSession({ system: "Answer at length, please. ".repeat(10) });
  await session.send("Well?", { temperature: 0, maxTokens: 40, ignoreEos: true });
  await session.save(join(folder, "talk"));
});
afterEach(() => {
  setModes(0o700);
  rmSync(folder, { recursive: true, force: true });
});

/** Of the folder and all folders in it; files stay readable by all. */
function setModes(mode: number): void {
  chmodSync(folder, mode);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? mode : 0o644);
  }
}

async function expectUnharmed(
  child: SpawnSyncReturns<string>,
  before: Awaited<ReturnType<typeof readSavedSession>>,
  reason: RegExp,
): Promise<void> {
  expect(child.stderr).toBe("");
  const { text, error, problem } = JSON.parse(child.stdout);
  expect(text.length).toBeGreaterThan(0);
  expect(error.code).toBe("STORAGE");
  expect(error.message).toMatch(reason);
  expect(problem).toMatch(reason);
  expect(await readSavedSession(join(folder, "talk"))).toEqual(before);
  await using model = await loadModel("tiny", { cacheBytes: 0 });
  let last = { cached: 0, total: 0 };
  await using session = await model.loadSession(join(folder, "talk"), {
    onProgress: (progress) => {
      last = progress;
    },
  });
  expect(last.cached).toBeGreaterThan(0);
  expect(session.messages).toEqual(before.messages);
}

/** A file of over a KiB can no more be written than on a full disk: RLIMIT_FSIZE needs no right to mount one. */
testNative("a disk that is full fails a save, loses nothing, and fails no answer", async () => {
  const before = await readSavedSession(join(folder, "talk"));
  const command = `ulimit -f 1; exec "$0" "$@"`;
  const child = spawnSync("bash", ["-c", command, process.execPath, saver, folder], { encoding: "utf8" });
  await expectUnharmed(child, before, /File too large|EFBIG/);
});

testNative("a folder that is read-only fails a save, loses nothing, and fails no answer", async (context) => {
  const before = await readSavedSession(join(folder, "talk"));
  setModes(0o555);
  const user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}; // modes do not bind root
  const run = (file: string, ...words: string[]) =>
    spawnSync(process.execPath, [file, ...words], { encoding: "utf8", ...user });
  if (run(builtMain(), "--version").status !== 0) context.skip("another user cannot read this checkout");
  await expectUnharmed(run(saver, folder), before, /EACCES|[Pp]ermission denied/);
});
