/** The model used last, in the user's state folder: what `chat` takes when none is named. */
import { keepJson, keptJson } from "../tools/kept-file.ts";
import { stateFile } from "./folders.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const name = "last-model.json";

/** Its path; undefined where none is kept. */
export function lastModel(env: Environment = process.env): string | undefined {
  const { path } = Object(keptJson(stateFile(name, env))) as { readonly path?: unknown };
  return typeof path === "string" ? path : undefined;
}

/** A path that cannot be kept is no reason to fail: the next chat asks, or takes nano. */
export function keepLastModel(path: string, env: Environment = process.env): void {
  try {
    keepJson(stateFile(name, env), { path });
  } catch {
    // see above
  }
}
