import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { divergence, klDivergence, logProbabilities } from "../../bench/kl-divergence.ts";
import { llamaCppPath } from "../../bench/peers/llama-cpp.ts";
import { writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { checkpointAsGguf } from "../../src/gguf/checkpoint-gguf.ts";
import { float32, string, uint32 } from "../../src/gguf/gguf-writer.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { root, testNeeding } from "../needs.ts";

const folder = mkdtempSync(join(tmpdir(), "minicpm-kl-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const logs = (...probabilities: number[]) => Float64Array.from(probabilities, Math.log);
const logits = (...probabilities: number[]) => Float32Array.from(probabilities, Math.log);

test("the divergence of two distributions is the one worked out by hand", () => {
  // 1/2 ln(2) + 1/4 ln(1) + 1/4 ln(1/2)
  expect(klDivergence(logs(1 / 2, 1 / 4, 1 / 4), logs(1 / 4, 1 / 4, 1 / 2))).toBeCloseTo(Math.LN2 / 4, 14);
});

test("the divergence goes from the first distribution to the second", () => {
  const [p, q] = [logs(0.9, 0.1), logs(0.5, 0.5)];
  expect(klDivergence(p, q)).toBeCloseTo(0.9 * Math.log(1.8) + 0.1 * Math.log(0.2), 14);
  expect(klDivergence(q, p)).toBeCloseTo(0.5 * Math.log(5 / 9) + 0.5 * Math.log(5), 14);
});

test("a divergence far below float32's step is still measured", () => {
  // To the second order, moving d from one of two equal halves to the other costs 2 d^2.
  const d = 1e-6;
  const kl = klDivergence(logs(0.5, 0.5), logs(0.5 + d, 0.5 - d));
  expect(kl / (2 * d * d)).toBeCloseTo(1, 3);
});

test("log-probabilities do not depend on what is added to all logits, however large", () => {
  const shifted = logProbabilities(Float32Array.of(4096, 4097, 4099));
  expect(shifted).toEqual(logProbabilities(Float32Array.of(0, 1, 3)));
  expect(shifted.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 14);
});

test("positions are averaged, the worst is named, and the same best tokens are counted", () => {
  const theirs = [logits(0.5, 0.25, 0.25), logits(0.5, 0.25, 0.25), logits(0.5, 0.25, 0.25)];
  const ours = [logits(0.5, 0.25, 0.25), logits(0.25, 0.25, 0.5), logits(0.5, 0.25, 0.25)];
  const found = divergence(theirs, ours);
  expect(found).toMatchObject({ positions: 3, vocabulary: 3, maxAt: 1, sameBest: 2 });
  expect(found.max).toBeCloseTo(Math.LN2 / 4, 6);
  expect(found.mean).toBeCloseTo(Math.LN2 / 12, 6);
  expect(found.logProbabilityGap).toBeCloseTo(Math.LN2, 6);
});

test("a token that is next to impossible does not widen the gap of log-probabilities", () => {
  const { logProbabilityGap } = divergence([Float32Array.of(0, 0, -20)], [Float32Array.of(0, 0, -30)]);
  expect(logProbabilityGap).toBeLessThan(1e-6);
});

test("logits that cannot be compared are refused", () => {
  const one = Float32Array.of(0, 1);
  expect(() => divergence([], [])).toThrow(RangeError);
  expect(() => divergence([one], [one, one])).toThrow("1 positions of theirs against 2 of ours");
  expect(() => divergence([one, one], [one, one.subarray(1)])).toThrow("position 1: 2 logits against 1");
  expect(() => divergence([one], [Float32Array.of(0, Number.NaN)])).toThrow("position 0: a logit is not");
});

/** What bench/kl.ts measures on a model and the first 40 tokens of the README, and its exit code. */
function measured(model: string, ...options: string[]): Readonly<Record<string, unknown>> {
  const words = ["bench/run.mjs", "bench/kl.ts", model, "--tokens", "40", "--threads", "1", "--json"];
  const { status, stdout } = spawnSync(process.execPath, [...words, ...options], {
    cwd: root,
    encoding: "utf8",
  });
  return { status, ...(JSON.parse(stdout) as Record<string, unknown>) };
}

const testBoth = testNeeding(
  [llamaCppPath, join(root, "build/Release/minicpm.node")],
  "npm install --prefix bench/peers, npm run build:native",
);

testBoth(
  "llama.cpp and ours give nano's next tokens the same probabilities, and f16 keys and values show",
  () => {
    const found = measured("nano");
    expect(found).toMatchObject({
      status: 0,
      architecture: "minicpm",
      positions: 40,
      vocabulary: 2048,
      sameBest: 40,
    });
    expect(found.max).toBeLessThan(1e-6);
    const half = measured("nano", "--peer-kv", "f16");
    expect(half.mean).toBeGreaterThan(100 * Number(found.mean));
  },
);

const yarn = {
  "qwen3.rope.scaling.type": string("yarn"),
  "qwen3.rope.scaling.factor": float32(4),
  "qwen3.rope.scaling.original_context_length": uint32(64),
};

testBoth.each([
  ["tied", true, undefined],
  ["untied", false, undefined],
  ["tied, with YaRN", true, yarn],
] as const)("llama.cpp and ours agree on a small Qwen3, %s", (name, tied, metadata) => {
  const source = join(folder, name);
  const config = {
    architectures: ["Qwen3ForCausalLM"],
    vocab_size: 320,
    hidden_size: 96,
    intermediate_size: 160,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 64,
    max_position_embeddings: 512,
    rope_theta: 1_000_000,
    tie_word_embeddings: tied,
    bos_token_id: 1,
    eos_token_id: [2],
  };
  writeSeededCheckpoint(source, config, { seed: 3, dtype: "F32" });
  const gguf = `${source}.gguf`;
  writeFileSync(gguf, checkpointAsGguf(openCheckpoint(source), { metadata }));
  const found = measured(gguf);
  expect(found).toMatchObject({ status: 0, architecture: "qwen3", positions: 40, sameBest: 40 });
  expect(found.max).toBeLessThan(1e-8);
});
