/** What can go wrong with the disk while a model is written. */
import { existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { StorageError } from "../errors.ts";
import { publicError } from "../native/error-table.ts";

/** What a large file comes to is known before: better to say so now than after minutes. */
export function refuseFull(file: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(dirname(file));
  const there = existsSync(file) ? statSync(file).blocks * 512 : 0;
  if (bavail * bsize + there < bytes) {
    throw new StorageError(file, `it takes ${bytes} bytes, and the disk has ${bavail * bsize}`);
  }
}

/** Errors of native code and of the file system as ours. */
export async function storing<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
    const isDisk = ["ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS", "ENOTDIR", "EIO"].includes(code);
    if (isDisk) throw new StorageError(path, (error as Error).message, { cause: error });
    throw publicError(error);
  }
}
