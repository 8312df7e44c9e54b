/**
 * A session on disk: a folder with `session.json`, which names the folder beside it that holds the keys and values.
 * `session.json` is put in place by one rename, after all that it names: at every moment the folder holds the session
 * that was saved last, whole.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MiniCpmError, SavedSessionError, StorageError } from "../errors.ts";
import { type RopeMode, ropeModes } from "../model/rope-extension.ts";
import { checkMessages, type Message } from "./message.ts";
import type { SavedTranscript } from "./transcript.ts";

const version = 1;
const leftoverMs = 3_600_000;
const blocksName = /^blocks-[0-9a-f]{16}$/;

export interface SavedSession {
  /** The model's name, for people. */
  readonly model: string;
  /** What the keys and values were computed with: see NativeModel.fingerprint. */
  readonly fingerprint: string;
  /** Rotary positions that its tokens had; absent in files that are older than the choice: "native". */
  readonly rope?: RopeMode;
  /** Tokens that the session could hold. */
  readonly contextLength: number;
  readonly messages: readonly Message[];
  readonly transcript: SavedTranscript;
  /** Whose keys and values are in the blocks, but for the last few. */
  readonly tokens: readonly number[];
}

/**
 * Saves to the folder `path`, for its owner's eyes only.
 *
 * @param writeBlocks fills `folder`, linking to what the save before has in `previous`
 * @throws StorageError; what `path` held before is still there then.
 */
export async function writeSavedSession(
  path: string,
  session: SavedSession,
  writeBlocks: (folder: string, previous: string | undefined) => Promise<void>,
): Promise<void> {
  const blocks = `blocks-${randomBytes(8).toString("hex")}`;
  const previous = (await readSavedSession(path).catch(() => undefined))?.folder;
  const unfinished = join(path, `session.json.${blocks}`);
  try {
    if (await isForeign(join(path, "session.json")))
      throw new Error("its session.json is not of this program");
    await mkdir(path, { recursive: true, mode: 0o700 });
    await mkdir(join(path, blocks), { mode: 0o700 });
    await writeBlocks(join(path, blocks), previous);
    await writeWhole(unfinished, JSON.stringify({ version, ...session, blocks }));
    await rename(unfinished, join(path, "session.json"));
  } catch (error) {
    await rm(join(path, blocks), { recursive: true, force: true }).catch(() => {});
    await rm(unfinished, { force: true }).catch(() => {});
    if (error instanceof MiniCpmError || (error as Error).name === "AbortError") throw error;
    throw new StorageError(path, error instanceof Error ? error.message : String(error), { cause: error });
  }
  const leftovers = await leftoversIn(path, blocks);
  for (const name of previous ? [previous, ...leftovers] : leftovers) {
    await rm(name, { recursive: true, force: true }).catch(() => {});
  }
}

/** A file that some other program has made is never replaced. */
async function isForeign(file: string): Promise<boolean> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text !== undefined && !text.includes('"blocks":"blocks-');
}

/** What killed processes left, once it is too old to be another save that runs now. */
async function leftoversIn(path: string, blocks: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(path).catch(() => [])) {
    if (name === blocks || !(blocksName.test(name) || name.startsWith("session.json."))) continue;
    const { mtimeMs } = await stat(join(path, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > leftoverMs) found.push(join(path, name));
  }
  return found;
}

/**
 * Reads what `writeSavedSession` has written; `folder` holds the blocks.
 *
 * @throws SavedSessionError
 */
export async function readSavedSession(path: string): Promise<SavedSession & { readonly folder: string }> {
  try {
    const found: unknown = JSON.parse(await readFile(join(path, "session.json"), "utf8"));
    const { blocks, ...session } = checked(found);
    return { ...session, folder: join(path, blocks) };
  } catch (cause) {
    if (cause instanceof SavedSessionError) throw cause;
    throw new SavedSessionError(path, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function checked(found: unknown): SavedSession & { readonly blocks: string } {
  const session = found as Partial<SavedSession & { version: unknown; blocks: string }> | null;
  const expect = (right: boolean, what: string) => {
    if (!right) throw new Error(`session.json has no right ${what}`);
  };
  expect(session?.version === version, `version (${version})`);
  const {
    model,
    fingerprint,
    rope = "native",
    contextLength,
    messages = [],
    transcript,
    tokens,
    blocks,
  } = session ?? {};
  expect(typeof model === "string", "model");
  expect(typeof fingerprint === "string", "fingerprint");
  expect(ropeModes.includes(rope), "rope");
  expect(Number.isSafeInteger(contextLength) && (contextLength as number) > 0, "contextLength");
  if (!Array.isArray(messages) || messages.length > 0) checkMessages(messages);
  expect(areCounts(tokens), "tokens");
  expect(typeof transcript?.text === "string" && areCounts(transcript.tokens), "transcript");
  const ends = transcript?.ends;
  expect(Array.isArray(ends) && ends.every((end) => areCounts(end) && end.length === 2), "transcript");
  expect(typeof blocks === "string" && blocksName.test(blocks), "blocks");
  return session as SavedSession & { readonly blocks: string };
}

function areCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => Number.isInteger(each) && each >= 0 && each < 2 ** 31);
}

/** Written through to the disk before it returns: a rename that follows cannot outrun it. */
async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
