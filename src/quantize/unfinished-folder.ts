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

/** Holds the writer's process id, so that what a killed one left is told from what is being written. */
const marker = "minicpm-unfinished";

export interface UnfinishedFolder {
  /** To be filled. */
  readonly path: string;
  /** Makes it the folder asked for; what was there is gone then. */
  finish(): void;
  /** Removes it, unless it is finished. */
  remove(): void;
}

/**
 * Opens `out`.unfinished, in the place of one that a process which has ended left.
 *
 * @throws StateError where that folder is another process's, or somebody else's.
 */
export function unfinishedFolder(out: string): UnfinishedFolder {
  const path = `${out}.unfinished`;
  mkdirSync(dirname(out), { recursive: true });
  if (existsSync(path)) removeAbandoned(path);
  mkdirSync(path);
  writeFileSync(join(path, marker), String(process.pid));
  let finished = false;
  return {
    path,
    finish() {
      rmSync(join(path, marker));
      sync(path);
      replace(path, out);
      finished = true;
      sync(dirname(out));
    },
    remove() {
      if (!finished) rmSync(path, { recursive: true, force: true });
    },
  };
}

function removeAbandoned(path: string): void {
  const file = join(path, marker);
  const ours = existsSync(file) || readdirSync(path).length === 0;
  if (!ours) throw new StateError(`${path} is in the way: remove it, or take another name.`);
  const pid = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  if (pid > 0 && isRunning(pid)) {
    throw new StateError(`Process ${pid} is writing ${path}: wait for it, or take another name.`);
  }
  rmSync(path, { recursive: true });
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
