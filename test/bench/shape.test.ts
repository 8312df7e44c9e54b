import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cacheFolder, findShape, knownShapes, writeShape } from "../../src/bench/shape.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { weightElements } from "../../src/model/weight-size.ts";
import { root } from "../needs.ts";

let cache = "";
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "minicpm-shape-"));
  vi.stubEnv("XDG_CACHE_HOME", cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});

const tinyConfig = join(root, "models/tiny/config.json");
const shapes = () => readdirSync(join(cache, "minicpm/shapes"));

test.each([
  ["minicpm4-0.5b", 433_873_920],
  ["MiniCPM4-8B", 8_185_253_888],
  ["Qwen3-0.6B", 596_049_920],
  ["Qwen3-8B", 8_190_735_360],
])("%s is known and has %d parameters", (name, parameters) => {
  const { config } = findShape(name);
  const { hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers } = config;
  const headDim = config.head_dim ?? hidden / config.num_attention_heads;
  const [queries, keys] = [config.num_attention_heads * headDim, config.num_key_value_heads * headDim];
  const norms = 2 * hidden + (name.startsWith("Qwen3") ? 2 * headDim : 0);
  const layer = 2 * hidden * (queries + keys) + 3 * hidden * inner + norms;
  const tables = (config.tie_word_embeddings ? 1 : 2) * config.vocab_size * hidden;
  expect(layers * layer + tables + hidden).toBe(parameters);
});

test("a config.json is a shape under its folder's name", () => {
  const { name, config } = findShape(tinyConfig);
  expect(name).toBe("tiny");
  expect(config).toMatchObject({ hidden_size: 64, head_dim: 16, num_key_value_heads: 2 });
});

test("what is neither is refused with the names that are known", () => {
  expect(() => findShape("minicpm9")).toThrow(
    /shape must be minicpm4-0\.5b, minicpm4-8b, qwen3-0\.6b, qwen3-8b or a config\.json/,
  );
  expect([...knownShapes.keys()]).toContain("minicpm4-8b");
});

test("a config.json that cannot run is refused before anything is written", () => {
  const path = join(cache, "config.json");
  const config = JSON.parse(readFileSync(tinyConfig, "utf8"));
  writeFileSync(path, JSON.stringify({ ...config, num_attention_heads: 5 }));
  expect(() => findShape(path)).toThrow(expect.objectContaining({ code: "CHECKPOINT" }));
  expect(existsSync(join(cache, "minicpm"))).toBe(false);
});

test("a shape's folder opens as a model of bfloat16 weights, and is gone after remove", async () => {
  const folder = await writeShape(findShape(tinyConfig), { keep: false });
  const { config, plan } = openCheckpoint(folder.path);
  expect(config).toMatchObject({ hiddenSize: 64, layers: 2, vocabSize: 360 });
  expect(plan.weights["layers.1.mlp.down"]).toMatchObject({ dtype: "BF16", shape: [64, 112] });
  expect(weightElements(plan.weights.embed ?? { shape: [] })).toBe(360 * 64);
  folder.remove();
  expect(shapes()).toEqual([]);
});

test("a kept one is found again and stays", async () => {
  const kept = await writeShape(findShape(tinyConfig), { keep: true });
  kept.remove();
  const again = await writeShape(findShape(tinyConfig), { keep: false });
  again.remove();
  expect(again).toMatchObject({ path: kept.path, kept: true });
  expect(shapes()).toEqual([kept.path.split("/").at(-1)]);
});

test("an abort leaves nothing behind", async () => {
  const controller = new AbortController();
  const shape = findShape("minicpm4-0.5b");
  const writing = writeShape(shape, {
    keep: true,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await expect(writing).rejects.toMatchObject({ name: "AbortError" });
  expect(shapes()).toEqual([]);
});

test("the cache folder is XDG's, where that is absolute", () => {
  expect(cacheFolder({ XDG_CACHE_HOME: "/x" })).toBe("/x/minicpm");
  expect(cacheFolder({ XDG_CACHE_HOME: "x" })).toMatch(/\/\.cache\/minicpm$/);
});
