/** Tests that need files which a clone may not have: they skip, saying what is missing. */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type TestAPI, test } from "vitest";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Data beside the repository that is not ours to commit: `sharedPath("data/stories260K")`. It may not be there. */
export function sharedPath(path: string): string {
  return join(root, "..", "shared", path);
}

/** `test`, or a `test` that skips and names what is missing where one of `paths` is. `how` tells how to get them. */
export function testNeeding(paths: readonly string[], how = ""): TestAPI {
  const missing = paths.filter((path) => !existsSync(path)).map((path) => relative(root, path));
  if (missing.length === 0) return test;
  const reason = `needs ${missing.join(" and ")}${how && ` (${how})`}`;
  const skip = (name: string) => test.skip(`${name}: ${reason}`, () => {});
  return Object.assign(skip, { each: () => skip }) as unknown as TestAPI;
}
