/** The model used last, in the user's state folder: what `chat` takes when none is named. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { stateFile } from "./folders.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const name = "last-model.json";

/** Its path; undefined where none is kept. */
export function lastModel(env: Environment = process.env): string | undefined {
  try {
    const { path } = JSON.parse(readFileSync(stateFile(name, env), "utf8"));
    return typeof path === "string" ? path : undefined;
  } catch {
    return undefined; // not there, or no longer what was written
  }
}

/** A path that cannot be kept is no reason to fail: the next chat asks, or takes nano. */
export function keepLastModel(path: string, env: Environment = process.env): void {
  const file = stateFile(name, env);
  const beside = `${file}.${process.pid}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(beside, `${JSON.stringify({ path })}\n`, { mode: 0o600 });
    renameSync(beside, file);
  } catch {
    // see above
  }
}
