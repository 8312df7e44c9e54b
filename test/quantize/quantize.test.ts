import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { loadModel } from "../../src/chat/load-model.ts";
import { checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { packedLayout } from "../../src/model/packed-model.ts";
import { addon } from "../../src/native/binding.ts";
import { quantize } from "../../src/quantize/quantize.ts";
import { nano, testNative as test, tiny } from "../cli/cli-process.ts";
import { planOf } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { logitsOf } from "./packed-logits.ts";

const folder = scratchFolder();

const packing = { format: "w4", group: 128, method: "rtn" } as const;

test.each([
  { format: "w4", group: 128 },
  { format: "w4", group: 32 },
  { format: "w8", group: 32 },
  { format: "w2", group: 64 },
] as const)("nano as $format in groups of $group has the bits of packing at load", async (pack) => {
  const out = join(folder, `nano-${pack.format}-${pack.group}`);
  await quantize(nano, out, { ...pack, method: "rtn" });
  expect(openCheckpoint(out).packed).toMatchObject({ ...pack, source: { name: "nano" } });
  expect(await logitsOf(out, pack, 1000)).toEqual(await logitsOf(nano, pack, 1000));
});

/** A head of its own, qk-norm, rows that are no multiple of 16, columns that are no multiple of a group. */
const uneven = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_act: "silu",
  attention_bias: false,
  vocab_size: 1003,
  hidden_size: 96,
  intermediate_size: 160,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  head_dim: 32,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: 2,
};

test.each(["F32", "F16", "BF16"] as const)("a model in %s with a head of its own too", async (dtype) => {
  const source = join(folder, `uneven-${dtype}`);
  writeSeededCheckpoint(source, uneven, { seed: 7, dtype });
  await quantize(source, `${source}-w4`, packing);
  expect(await logitsOf(`${source}-w4`, packing, 1000)).toEqual(await logitsOf(source, packing, 1000));
});

test("packed matrices are mapped: only norms take memory of their own", async () => {
  const out = join(folder, "mapped");
  const { bytes } = await quantize(nano, out, packing);
  const plan = { ...planOf(out), activations: "int8" } as const;
  const memory = addon().memoryPlan(plan, { capacity: 64, sequences: 1 });
  expect(memory.mapped).toBe(bytes);
  expect(memory.weights).toBe(4 * (2 * 6 + 1) * 256);
});

test("the folder has the model's own texts, and loads with int8 activations by itself", async () => {
  const out = join(folder, "whole");
  await quantize(nano, out, packing);
  const texts = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];
  for (const name of texts) expect(readFileSync(join(out, name))).toEqual(readFileSync(join(nano, name)));
  expect(readdirSync(out).sort()).toEqual([...texts, "README.md", "model.safetensors"].sort());
  await using model = await loadModel(out, { contextLength: 128, threads: 1 });
  expect(model.info).toMatchObject({ pack: { format: "w4", group: 128 }, activations: "int8" });
});

test.each(["int8", "f32"] as const)(
  "a packed model runs with activations in %s, as asked",
  async (activations) => {
    const out = join(folder, `activations-${activations}`);
    await quantize(nano, out, packing);
    await using model = await loadModel(out, { contextLength: 128, threads: 1, activations });
    expect(model.info).toMatchObject({ pack: { format: "w4", group: 128 }, activations });
  },
);

test.each([
  [{ pack: "w4" }, "pack"],
  [{ packGroup: 64 }, "packGroup"],
] as const)("%j of a packed model is refused", async (options, option) => {
  const out = join(folder, "again");
  if (!existsSync(out)) await quantize(nano, out, packing);
  await expect(loadModel(out, options)).rejects.toMatchObject({ code: "OPTION", option });
});

test("a packed model is not packed again", async () => {
  const out = join(folder, "once");
  await quantize(nano, out, packing);
  await expect(quantize(out, join(folder, "twice"), packing)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  expect(existsSync(join(folder, "twice"))).toBe(false);
});

test("a benchmark does not write packed weights for another engine", async () => {
  const out = join(folder, "versus");
  await quantize(nano, out, packing);
  expect(() => checkpointAsGguf(openCheckpoint(out))).toThrow(/GGUF of packed weights .* is not supported/);
});

test("rows that are no multiple of 32 are refused before anything is written", async () => {
  const refused = quantize(tiny, join(folder, "tiny"), packing);
  await expect(refused).rejects.toMatchObject({ code: "UNSUPPORTED", message: /layers\.0\.mlp\.down/ });
  expect(readdirSync(folder).filter((name) => name.startsWith("tiny"))).toEqual([]);
});

test("a folder that is there stays, unless it is a packed one and force is given", async () => {
  const out = join(folder, "taken");
  mkdirSync(out);
  writeFileSync(join(out, "thesis.txt"), "years of work");
  for (const force of [false, true]) {
    await expect(quantize(nano, out, { ...packing, force })).rejects.toMatchObject({ code: "OPTION" });
  }
  expect(readFileSync(join(out, "thesis.txt"), "utf8")).toBe("years of work");

  const packed = join(folder, "taken-packed");
  await quantize(nano, packed, packing);
  await expect(quantize(nano, packed, packing)).rejects.toMatchObject({ code: "OPTION", message: /--force/ });
  await quantize(nano, packed, { format: "w8", group: 32, method: "rtn", force: true });
  expect(openCheckpoint(packed).packed).toMatchObject({ format: "w8", group: 32 });
  expect(readdirSync(folder).filter((name) => name.startsWith("taken-packed"))).toEqual(["taken-packed"]);
});

test("a call that is aborted leaves nothing behind", async () => {
  const out = join(folder, "aborted");
  const controller = new AbortController();
  let parts = 0;
  const onProgress = () => ++parts === 3 && controller.abort();
  const aborted = quantize(nano, out, { ...packing, signal: controller.signal, onProgress });
  await expect(aborted).rejects.toMatchObject({ name: "AbortError" });
  expect(parts).toBe(3);
  expect(readdirSync(folder).filter((name) => name.startsWith("aborted"))).toEqual([]);
});

test("what a killed process left is replaced, what a running one writes is not", async () => {
  const out = join(folder, "left");
  mkdirSync(`${out}.unfinished`);
  writeFileSync(join(`${out}.unfinished`, "minicpm-unfinished"), String(process.ppid));
  await expect(quantize(nano, out, packing)).rejects.toMatchObject({ code: "STATE", message: /is writing/ });
  writeFileSync(join(`${out}.unfinished`, "minicpm-unfinished"), String(2 ** 30));
  copyFileSync(join(nano, "config.json"), join(`${out}.unfinished`, "config.json"));
  await quantize(nano, out, packing);
  expect(readdirSync(folder).filter((name) => name.startsWith("left"))).toEqual(["left"]);
});

test("the layout in headers is the one that the kernels read", () => {
  expect(packedLayout).toBe(addon().packedLayout);
});
