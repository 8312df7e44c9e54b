/** Where tests write. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A folder of a test file's own, gone when its tests are over. Call it outside of tests and hooks. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "minicpm-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
