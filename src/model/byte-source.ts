/** Ranges of bytes of one file, never the whole file: what the header parsers read from. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { CheckpointError } from "../errors.ts";

/** How the pointer starts that Git LFS leaves in a file's place, and the most bytes one may have. */
const pointerStart = "version https://git-lfs.github.com/spec/";
const mostPointerBytes = 1024;

export interface ByteSource {
  /** The file's path, for errors. */
  readonly path: string;
  /** The file's size in bytes. */
  readonly size: number;
  /**
   * A copy of `length` bytes from `offset`.
   *
   * @throws CheckpointError if the range is not inside the file; nothing is allocated then.
   */
  read(offset: number, length: number): Buffer;
}

/** Opens `path`, hands it to `use`, closes it. */
export function withFile<T>(path: string, use: (source: ByteSource) => T): T {
  const descriptor = openFile(path);
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw new CheckpointError(path, "", "a file", "something else");
    const { size } = status;
    refusePointer(path, descriptor, size);
    return use({
      path,
      size,
      read(offset, length) {
        checkRange(path, size, offset, length);
        const bytes = Buffer.allocUnsafe(length);
        let done = 0;
        while (done < length) {
          const count = readSync(descriptor, bytes, done, length - done, offset + done);
          if (count === 0)
            throw new CheckpointError(path, "", `${size} bytes`, `the end at ${offset + done}`);
          done += count;
        }
        return bytes;
      },
    });
  } finally {
    closeSync(descriptor);
  }
}

/** The bytes of a file that is already in memory. */
export function inMemory(path: string, bytes: Uint8Array): ByteSource {
  return {
    path,
    size: bytes.length,
    read(offset, length) {
      checkRange(path, bytes.length, offset, length);
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
  };
}

function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(path, "", "a readable file", reason, { cause });
  }
}

/** A clone without Git LFS has small texts where the large files should be. */
function refusePointer(path: string, descriptor: number, size: number): void {
  const start = Buffer.alloc(pointerStart.length);
  if (size > mostPointerBytes || readSync(descriptor, start, 0, start.length, 0) < start.length) return;
  if (start.toString("latin1") !== pointerStart) return;
  throw new CheckpointError(path, "", "the file itself", "a Git LFS pointer to it (git lfs pull fetches it)");
}

function checkRange(path: string, size: number, offset: number, length: number): void {
  const inside =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= size;
  if (!inside) {
    throw new CheckpointError(path, "", `${length} bytes at ${offset}`, `a file of ${size} bytes`);
  }
}
