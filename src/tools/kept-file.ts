/** Small files that hold what is to be known the next time, for their owner's eyes only. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Writes all of it or leaves what was there. @throws what the file system does */
export function keepJson(file: string, value: unknown): void {
  const beside = `${file}.${process.pid}`;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(beside, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  renameSync(beside, file);
}

/** Undefined where there is no such file, or it is no longer what was written. */
export function keptJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
