import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type PeerFileOptions, peerFile, peerWeights } from "../../src/bench/peer-file.ts";
import { type SeededConfig, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { openCheckpoint } from "../../src/model/load.ts";

const folder = mkdtempSync(join(tmpdir(), "minicpm-peer-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

const config: SeededConfig = {
  architectures: ["LlamaForCausalLM"],
  vocab_size: 320,
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  tie_word_embeddings: false,
};
writeSeededCheckpoint(join(folder, "source"), config, { seed: 1, dtype: "BF16" });
const checkpoint = openCheckpoint(join(folder, "source"));

/** Of the layers' matrices and of the head. */
const [matrices, head] = [2 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 256 * 512), 320 * 256];

const scratch = () => mkdtempSync(join(folder, "scratch-"));
const write = (options: Partial<PeerFileOptions> = {}) =>
  peerFile(checkpoint, {
    name: "made",
    weights: peerWeights("F16"),
    folder: scratch(),
    onProgress: () => {},
    ...options,
  });

test("a file of the same numbers is written once, under its types", async () => {
  const place = scratch();
  const made = await write({ folder: place });
  expect(made).toMatchObject({ title: "made F16", weightBytes: 2 * (matrices + head) });
  const { plan, config: read } = openCheckpoint(made.path);
  expect(read).toMatchObject({ architecture: "llama", hiddenSize: 256, kvHeads: 2 });
  expect(plan.weights["layers.1.mlp.up"]).toMatchObject({ dtype: "F16", shape: [512, 256] });
  expect(plan.weights.norm?.dtype).toBe("F32");
  const { mtimeMs } = statSync(made.path);
  expect(await write({ folder: place })).toEqual(made);
  expect(statSync(made.path).mtimeMs).toBe(mtimeMs);
  expect(readdirSync(place)).toHaveLength(1);
});

test("Q4_0 has its head in Q6_K, as llama-quantize makes it", async () => {
  const made = await write({ weights: peerWeights("Q4_0") });
  expect(made.title).toBe("made Q4_0, head Q6_K");
  expect(made.weightBytes).toBe((matrices * 18) / 32 + (head * 210) / 256);
  expect(openCheckpoint(made.path).plan.weights.head?.dtype).toBe("Q6_K");
});

test("without weights the model's own file is taken", async () => {
  const { path } = await write();
  const gguf = openCheckpoint(path);
  const own = await peerFile(gguf, { name: "own", folder: scratch(), onProgress: () => {} });
  expect(own).toEqual({ path, title: "own F16", weightBytes: 2 * (matrices + head) });
});

test("rows that do not divide into blocks are refused, and nothing stays", async () => {
  const odd = join(folder, "odd");
  writeSeededCheckpoint(odd, { ...config, hidden_size: 96 }, { seed: 1, dtype: "F32" });
  const place = scratch();
  const writing = peerFile(openCheckpoint(odd), {
    name: "odd",
    weights: peerWeights("Q4_0"),
    folder: place,
    onProgress: () => {},
  });
  await expect(writing).rejects.toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringContaining("256"),
  });
  expect(readdirSync(place)).toEqual([]);
});
