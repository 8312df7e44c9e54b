import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { addon } from "../../src/native/binding.ts";
import { publicError } from "../../src/native/error-table.ts";
import { root } from "../needs.ts";
import { planOf } from "./native-model.ts";

/** A model file that changes between the reading of its header and the mapping of its weights. */
let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-changed-"));
  cpSync(join(root, "models/tiny"), folder, { recursive: true });
  file = join(folder, "model.safetensors");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["truncated", () => truncateSync(file, statSync(file).size - 100)],
  ["emptied", () => truncateSync(file, 0)],
  ["grown", () => appendFileSync(file, "more")],
  ["replaced", () => writeFileSync(file, Buffer.alloc(1000, 1))],
  ["removed", () => unlinkSync(file)],
])("a file that was %s after its header was read is refused by name", async (_, change) => {
  const plan = planOf(folder);
  const bytes = statSync(file).size;
  change();
  const error = await addon()
    .loadModel(plan)
    .then(
      async (model) => model.dispose(),
      (reason: unknown) => publicError(reason),
    );
  expect(error).toBeInstanceOf(CheckpointError);
  expect(error).toMatchObject({ file });
  expect((error as CheckpointError).expected).not.toBe("");
  expect((error as CheckpointError).found).not.toContain(String(bytes));
  expect(addon().nativeBytes()).toEqual({ allocated: 0, mapped: 0 });
});
