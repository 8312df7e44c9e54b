import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { findModel } from "../../src/model/find-model.ts";

const shelf = mkdtempSync(join(tmpdir(), "find-model-"));
afterAll(() => rmSync(shelf, { recursive: true }));
beforeEach(() => {
  vi.stubEnv("MINICPM_MODELS", shelf);
});

/** A folder on the shelf with these empty files. */
function place(name: string, ...files: string[]): string {
  const folder = join(shelf, name);
  mkdirSync(folder, { recursive: true });
  for (const file of files) writeFileSync(join(folder, file), "");
  return folder;
}

test("a name is looked for here, in $MINICPM_MODELS and among the package's models", () => {
  const path = place("on-shelf", "config.json", "model.safetensors");
  expect(findModel("on-shelf")).toEqual({ name: "on-shelf", format: "safetensors", path });
  expect(findModel("tiny")).toMatchObject({ name: "tiny", format: "safetensors" });
  expect(() => findModel("nowhere")).toThrow(
    expect.objectContaining({ code: "MODEL_NOT_FOUND", searched: expect.objectContaining({ length: 3 }) }),
  );
});

test("a folder with one .gguf is a model, with several the file must be named", () => {
  const path = join(place("one", "a.gguf"), "a.gguf");
  expect(findModel("one")).toEqual({ name: "one", format: "gguf", path });
  const folder = place("two", "a.gguf", "b.gguf");
  expect(() => findModel("two")).toThrow(/several \.gguf files: name one/);
  expect(findModel(join(folder, "b.gguf"))).toMatchObject({ name: "b", format: "gguf" });
});

test("a folder whose weights are still to be fetched says what fetches them", () => {
  const folder = place("unfetched", "fetch", "manifest.json");
  expect(() => findModel("unfetched")).toThrow(`not fetched yet: run ${join(folder, "fetch")}`);
});
