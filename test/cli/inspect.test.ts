import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type ArrayCase, arrayCases, writeArrayCheckpoint } from "../golden/arrays.ts";
import { smallTokenizer } from "../model/small-tokenizer.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { minicpm, nano, testNative } from "./cli-process.ts";

const folder = scratchFolder();

test("inspect shows numbers, tensors by group, sparse_config and chat template", async () => {
  const { code, out } = await minicpm(["inspect", nano]);
  expect(code).toBe(0);
  expect(out).toMatch(/parameters +5\.05 M, 9\.6 MiB/);
  expect(out).toMatch(/sparse attention +InfLLM v2 v4\.1, exact.*\n +sparse_config +kernel_size 32/);
  expect(out).toMatch(/chat template +its own/);
  expect(out).toMatch(/hiddenSize +256/);
  expect(out).toMatch(/attention +24 +BF16/);
});

test("--json has a stable shape whose groups add up", async () => {
  const { out } = await minicpm(["inspect", nano, "--json"]);
  const report = JSON.parse(out);
  expect(Object.keys(report).sort()).toEqual([
    "bytes",
    "chatTemplate",
    "config",
    "extendedContext",
    "format",
    "generationConfig",
    "groups",
    "kvType",
    "memory",
    "name",
    "packed",
    "parameters",
    "path",
    "repacked",
    "sparse",
    "sparseConfig",
    "stopTokens",
    "tiedHead",
    "tokenizer",
    "unknownTensors",
  ]);
  const total = report.groups.reduce(
    (sum: number, group: { parameters: number }) => sum + group.parameters,
    0,
  );
  expect(report.parameters).toBe(total);
  expect(report.sparseConfig.block_size).toBe(64);
  expect(report.sparse).toMatch(/^InfLLM v2 v4.1, exact normalizer: 28 blocks of 64 keys/);
  expect(report.config.maxContext).toBe(4096);
});

test("inspect says what quantized matrices were and what they become", async () => {
  const path = join(folder, "gptq");
  const golden = arrayCases.find(({ name }) => name === "gptq-4-asym-g32") as ArrayCase;
  writeArrayCheckpoint(path, golden);
  writeFileSync(join(path, "tokenizer.json"), JSON.stringify(smallTokenizer));
  const { code, out } = await minicpm(["inspect", path]);
  expect(code).toBe(0);
  expect(out).toMatch(/GPTQ4 +loaded as w4, scales and zero points of 32, the file's own/);
  expect(out).toMatch(/attention +4 +GPTQ4 +49/);
});

testNative("memory grows with the context, by what the KV takes", async () => {
  const { out } = await minicpm(["inspect", nano, "--json", "--kv-type", "f32"]);
  const { memory } = JSON.parse(out);
  expect(memory.map(({ contextLength }: { contextLength: number }) => contextLength)).toEqual([2048, 4096]);
  // 6 layers, 1 KV head of 64, 4 bytes: K and V, and in each block of 64 tokens 5 pooled keys, padded to 4 KiB.
  expect(memory[1].kv - memory[0].kv).toBe(2048 * 6 * 64 * 2 * 4 + (2048 / 64) * 8192);
  const { mapped, weights, kv, activations, tokenizer, total } = memory[1];
  expect(total).toBe(mapped + weights + kv + activations + tokenizer);
});

test("without the addon the rest is shown, and why there is no memory table", async () => {
  const env = { MINICPM_BINARY: "/nowhere/minicpm.node" };
  const { code, out, err } = await minicpm(["inspect", nano], { env });
  expect(code).toBe(0);
  expect(out).toMatch(/parameters/);
  expect(out).not.toMatch(/context +weights/);
  expect(err).toMatch(/needs the native addon.*\/nowhere\/minicpm\.node/);
});

testNative("inspect shows what memory holds with --kv-spill", async () => {
  const words = ["inspect", nano, "--json"];
  const spill = ["--kv-spill", "spill", "--kv-memory-bytes", String(3 * 2 ** 20)];
  const kv = async (more: string[]) => JSON.parse((await minicpm([...words, ...more])).out).memory.at(-1).kv;
  const [all, held] = [await kv([]), await kv(spill)];
  expect(held).toBeLessThan(all);
  const { code, err } = await minicpm([...words, ...spill.slice(0, 3), "1000"]);
  expect(code).toBe(1);
  expect(err).toMatch(/kvMemoryBytes/);
});
