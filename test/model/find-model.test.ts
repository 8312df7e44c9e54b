import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { findModel } from "../../src/model/find-model.ts";
import { scratchFolder } from "../scratch-folder.ts";

const shelf = scratchFolder();
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

test("ORG/NAME is looked for in the Hugging Face cache too: what main stands for, else the newest", () => {
  const cache = join(shelf, "hub");
  vi.stubEnv("HF_HUB_CACHE", cache);
  const folder = "hub/models--org--name.v2";
  const old = place(`${folder}/snapshots/aaa`, "config.json", "model.safetensors");
  utimesSync(old, 1000, 1000);
  const fresh = place(`${folder}/snapshots/bbb`, "config.json", "model.safetensors");
  expect(findModel("org/name.v2")).toEqual({ name: "name.v2", format: "safetensors", path: fresh });
  mkdirSync(join(shelf, folder, "refs"));
  writeFileSync(join(shelf, folder, "refs/main"), "aaa\n");
  expect(findModel("org/name.v2").path).toBe(old);
  expect(() => findModel("org/other")).toThrow(`${join(cache, "models--org--other")} (not there)`);
  expect(() => findModel("org/other")).toThrow("Fetch it (hf download org/other), or give a folder");
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
