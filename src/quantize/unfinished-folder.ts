/** A folder that appears whole or not at all: filled under another name beside it, then renamed. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { StateError } from "../errors.ts";

/** Files of its own, gone once it is finished, begin like this. */
const own = "minicpm-";

/** Holds the writer's process id, so that what a killed one left is told from what is being written. */
const marker = `${own}unfinished`;

/** Says what the folder was begun as: who begins the same goes on with what is in it. */
const purposeFile = `${own}purpose`;

export interface UnfinishedFolder {
  /** To be filled. */
  readonly path: string;
  /** Of a file that is kept beside the folder's own until it is finished. */
  ownFile(name: string): string;
  /** Makes it the folder asked for; what was there is gone then. */
  finish(): void;
  /** Leaves it for a later call with the same purpose. */
  leave(): void;
  /** Removes it, unless it is finished or left. */
  remove(): void;
}

/**
 * Opens `out`.unfinished. What a process that has ended left there is kept where it had the same `purpose`, and goes
 * where it had another or none is given.
 *
 * @throws StateError where that folder is another process's, or somebody else's.
 */
export function unfinishedFolder(out: string, purpose?: string): UnfinishedFolder {
  const path = `${out}.unfinished`;
  mkdirSync(dirname(out), { recursive: true });
  if (existsSync(path)) {
    refuseOthers(path);
    if (purpose === undefined || purposeOf(path) !== purpose) rmSync(path, { recursive: true });
  }
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, marker), String(process.pid));
  if (purpose !== undefined) writeFileSync(join(path, purposeFile), purpose);
  let ended = false;
  return {
    path,
    ownFile: (name) => join(path, own + name),
    finish() {
      for (const name of readdirSync(path).filter((each) => each.startsWith(own))) rmSync(join(path, name));
      sync(path);
      replace(path, out);
      ended = true;
      sync(dirname(out));
    },
    leave() {
      rmSync(join(path, marker));
      ended = true;
    },
    remove() {
      if (!ended) rmSync(path, { recursive: true, force: true });
    },
  };
}

function purposeOf(path: string): string | undefined {
  const file = join(path, purposeFile);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function refuseOthers(path: string): void {
  const names = readdirSync(path);
  const ours = names.length === 0 || names.some((name) => name.startsWith(own));
  if (!ours) throw new StateError(`${path} is in the way: remove it, or take another name.`);
  const file = join(path, marker);
  const pid = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  if (pid > 0 && isRunning(pid)) {
    throw new StateError(`Process ${pid} is writing ${path}: wait for it, or take another name.`);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A folder cannot be renamed onto a full one: the old one steps aside first, and comes back where that fails. */
function replace(path: string, out: string): void {
  if (!existsSync(out)) {
    renameSync(path, out);
    return;
  }
  const old = `${out}.old-${process.pid}`;
  renameSync(out, old);
  try {
    renameSync(path, out);
  } catch (error) {
    renameSync(old, out);
    throw error;
  }
  rmSync(old, { recursive: true, force: true });
}

function sync(folder: string): void {
  const file = openSync(folder, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
