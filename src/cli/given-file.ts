/** Files that the command line names. */
import { readFileSync } from "node:fs";
import { UsageError } from "./failure.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "you may not read it",
};

/** The JSON in `file`. @throws UsageError that says why it cannot be read, or is none. */
export function givenJson(file: string): unknown {
  const text = givenFile(file).toString();
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${file} is no JSON: ${cause instanceof Error ? cause.message : cause}.`);
  }
}

/** What is in `file`. @throws UsageError that says why it cannot be read. */
export function givenFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${file} cannot be read: ${reasons[code] ?? message}.`);
  }
}
