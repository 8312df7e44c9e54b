import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ModelNotFoundError } from "../../src/errors.ts";
import { checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import { findModel } from "../../src/model/find-model.ts";
import { openCheckpoint, openModel } from "../../src/model/load.ts";
import { root } from "../needs.ts";

const tiny = join(root, "models/tiny");
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-load-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** A copy of models/tiny to break. */
function copy(name = "model"): string {
  const path = join(folder, name);
  cpSync(tiny, path, { recursive: true });
  return path;
}

const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const writeJson = (path: string, value: unknown) => writeFileSync(path, JSON.stringify(value));

test("a folder is opened with everything that it brings", () => {
  const model = openModel(tiny);
  expect(model).toMatchObject({
    name: "tiny",
    format: "safetensors",
    path: tiny,
    tiedHead: true,
    unknownTensors: [],
  });
  expect([...model.stopTokens]).toEqual([2, 4]);
  expect(model.templateTokens).toEqual({ bos_token: "<s>", eos_token: "<|im_end|>", unk_token: "<unk>" });
  expect(model.generationConfig).toMatchObject({ temperature: 0.8, topP: 0.8 });
  expect(model.chatTemplate).toBeUndefined();
  expect(model.tokenizer.prefix).toEqual([1]);
  expect(model.sources.map((path) => path.slice(tiny.length + 1)).toSorted()).toEqual([
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
});

test("a name is looked up here, in $MINICPM_MODELS, then in the package", () => {
  expect(findModel("tiny").path).toBe(tiny);
  const mine = copy("tiny");
  vi.stubEnv("MINICPM_MODELS", folder);
  expect(findModel("tiny").path).toBe(mine);
});

test("a .gguf is found by path, by name without the ending, and alone in a folder", () => {
  const path = join(folder, "small.gguf");
  writeFileSync(path, checkpointAsGguf(openCheckpoint(tiny)));
  expect(findModel(path)).toEqual({ name: "small", format: "gguf", path });
  expect(findModel(join(folder, "small"))).toEqual({ name: "small", format: "gguf", path });
  expect(findModel(folder)).toMatchObject({ format: "gguf", path });
  vi.stubEnv("MINICPM_MODELS", folder);
  expect(findModel("small")).toEqual({ name: "small", format: "gguf", path });
});

test("a model that is nowhere is an error that lists where we looked", () => {
  vi.stubEnv("MINICPM_MODELS", folder);
  try {
    findModel("no-such-model");
  } catch (error) {
    const { code, model, searched, message } = error as ModelNotFoundError;
    expect([code, model]).toEqual(["MODEL_NOT_FOUND", "no-such-model"]);
    expect(searched).toHaveLength(3);
    for (const place of [join(folder, "no-such-model"), join(root, "models/no-such-model")]) {
      expect(message).toContain(place);
    }
    return;
  }
  throw new Error("nothing was thrown");
});

test.each(["", "./nothing", "/nothing/here"])("%j is looked up as a path only", (reference) => {
  vi.stubEnv("MINICPM_MODELS", folder);
  expect(() => findModel(reference)).toThrow(expect.objectContaining({ code: "MODEL_NOT_FOUND" }));
});

test("a folder without weights, with several .gguf, and a file of another kind say so", () => {
  const expectReason = (path: string, reason: string) =>
    expect(() => findModel(path)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(reason) }),
    );
  expectReason(folder, "no config.json with model.safetensors, no .gguf");
  for (const name of ["a.gguf", "b.gguf"]) writeFileSync(join(folder, name), "");
  expectReason(folder, "several .gguf files: name one");
  writeFileSync(join(folder, "model.bin"), "");
  expectReason(join(folder, "model.bin"), "not a .gguf file");
});

test("chat_template.jinja goes before the template in tokenizer_config.json", () => {
  const path = copy();
  writeJson(join(path, "tokenizer_config.json"), { chat_template: "inside" });
  expect(openModel(path).chatTemplate).toBe("inside");
  writeFileSync(join(path, "chat_template.jinja"), "own file");
  expect(openModel(path)).toMatchObject({ chatTemplate: "own file" });
  expect(openModel(path).sources).toContain(join(path, "chat_template.jinja"));
});

test("of named templates the default is taken", () => {
  const path = copy();
  const named = [
    { name: "tool_use", template: "tools" },
    { name: "default", template: "plain" },
  ];
  writeJson(join(path, "tokenizer_config.json"), { chat_template: named });
  expect(openModel(path).chatTemplate).toBe("plain");
  writeJson(join(path, "tokenizer_config.json"), { chat_template: named.slice(0, 1) });
  expect(() => openModel(path)).toThrow(/chat_template: expected a text, or a list with a default/);
});

test("add_bos_token counts for the Llama tokenizer classes only", () => {
  const path = copy();
  const prefix = (settings: object) => {
    writeJson(join(path, "tokenizer_config.json"), settings);
    return openModel(path).tokenizer.prefix;
  };
  expect(prefix({ tokenizer_class: "LlamaTokenizerFast", add_bos_token: false })).toEqual([]);
  expect(prefix({ tokenizer_class: "PreTrainedTokenizerFast", add_bos_token: false })).toEqual([1]);
  expect(prefix({})).toEqual([1]);
});

test("stop tokens are those of both configs", () => {
  const path = copy();
  writeJson(join(path, "generation_config.json"), { eos_token_id: 9 });
  expect([...openModel(path).stopTokens]).toEqual([2, 4, 9]);
  rmSync(join(path, "generation_config.json"));
  expect([...openModel(path).stopTokens]).toEqual([2, 4]);
});

test("a folder without tokenizer.json opens as a checkpoint only", () => {
  const path = copy();
  rmSync(join(path, "tokenizer.json"));
  expect(openCheckpoint(path).config.layers).toBe(2);
  expect(() => openModel(path)).toThrow(/tokenizer\.json: expected a readable file/);
  writeFileSync(join(path, "tokenizer.model"), "");
  expect(() => openModel(path)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
});

test("a tokenizer with more tokens than the model is refused", () => {
  const path = copy();
  cpSync(join(root, "models/nano/tokenizer.json"), join(path, "tokenizer.json"));
  expect(() => openModel(path)).toThrow(/expected at most the 360 tokens of the config, found 2048 tokens/);
});

test("a smaller tokenizer that cannot end an answer is another model's", () => {
  const path = copy();
  writeJson(join(path, "generation_config.json"), {});
  writeJson(join(path, "config.json"), { ...json(join(path, "config.json")), eos_token_id: 7 });
  const tokenizer = json(join(path, "tokenizer.json"));
  const model = { ...tokenizer.model, vocab: { "<unk>": 0, "<s>": 1 }, merges: [] };
  writeJson(join(path, "tokenizer.json"), { ...tokenizer, added_tokens: [], model });
  expect(() => openModel(path)).toThrow(
    /tokenizer\.json: expected a token that ends an answer \(7\), found 2 tokens without it/,
  );
});

test.each(["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"])(
  "%s that is cut short is refused by name",
  (name) => {
    const path = copy();
    truncateSync(join(path, name), 60);
    expect(() => openModel(path)).toThrow(
      expect.objectContaining({ code: "CHECKPOINT", file: join(path, name), expected: "JSON" }),
    );
  },
);

test("a folder where a file should be is refused by name", () => {
  const path = copy();
  rmSync(join(path, "model.safetensors"));
  mkdirSync(join(path, "model.safetensors"));
  expect(() => openModel(path)).toThrow(expect.objectContaining({ code: "CHECKPOINT", expected: "a file" }));
});

test("weights behind a link open, as the caches of model hubs have them", () => {
  const path = copy();
  renameSync(join(path, "model.safetensors"), join(folder, "blob"));
  symlinkSync("../blob", join(path, "model.safetensors"));
  expect(openModel(path).unknownTensors).toEqual([]);
});
