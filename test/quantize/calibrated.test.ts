import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { divergence } from "../../bench/kl-divergence.ts";
import { writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { openCheckpoint, openModel } from "../../src/model/load.ts";
import { type QuantizeOptions, quantize } from "../../src/quantize/quantize.ts";
import { nano, testNative as test } from "../cli/cli-process.ts";
import { root } from "../needs.ts";
import { bitsOf, prefillIn, withModel, withSequence } from "../real/native-model.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();

/** What nano talks like: its own questions and answers, more than 3,000 tokens. */
const talk = readFileSync(join(root, "models/nano/eval/held-out.jsonl"), "utf8")
  .split("\n")
  .slice(0, 400)
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as { messages: { content: string }[]; expected?: string })
  .map(({ messages, expected }) => `${messages.map(({ content }) => content).join("\n")}\n${expected ?? ""}`)
  .join("\n\n");

/** Tokens of a text that no gram matrix has heard of: the end of what nano talks like. */
function questionTokens(): Int32Array {
  return openModel(nano).tokenizer.encode(talk.slice(-3000), { bos: true }).subarray(0, 300);
}

const quick: Omit<QuantizeOptions, "format" | "group"> = {
  calibration: talk,
  calibrationTokens: 512 * 6,
  threads: 2,
};

/** Logits behind each of those tokens, activations in float32. */
async function logitsOf(reference: string): Promise<Float32Array[]> {
  const tokens = questionTokens();
  return withModel(reference, { activations: "f32" }, (model) =>
    withSequence(model, tokens.length, async (sequence) => {
      const logits: Float32Array[] = [];
      for (const position of tokens.keys()) {
        await sequence.prefill(tokens.subarray(position, position + 1));
        logits.push(sequence.logits());
      }
      return logits;
    }),
  );
}

test("GPTQ and P-GPTQ change nano's answers less than rounding to nearest", async () => {
  const source = await logitsOf(nano);
  const kl: Record<string, number> = {};
  for (const method of ["rtn", "gptq", "p-gptq"] as const) {
    const out = join(folder, `nano-${method}`);
    const { comparison } = await quantize(nano, out, { ...quick, format: "w4", group: 128, method });
    kl[method] = divergence(source, await logitsOf(out)).mean;
    expect(openCheckpoint(out).packed).toMatchObject({ format: "w4", group: 128, method });
    if (method === "rtn") expect(comparison).toBeUndefined();
    else expect(comparison).toMatchObject({ tokens: 4 * 511 });
  }
  expect(kl.gptq).toBeLessThan(0.8 * (kl.rtn ?? 0));
  expect(kl["p-gptq"]).toBeLessThan(0.8 * (kl.rtn ?? 0));
});

test("what is told of the change is what the folder does", async () => {
  const out = join(folder, "told");
  const { comparison } = await quantize(nano, out, { ...quick, format: "w8", group: 32, method: "gptq" });
  expect(comparison?.kl).toBeGreaterThan(0);
  expect(comparison?.kl).toBeLessThan(1e-3);
  expect(Math.abs((comparison?.packedNll ?? 0) - (comparison?.sourceNll ?? 0))).toBeLessThan(0.01);
  const card = readFileSync(join(out, "README.md"), "utf8");
  expect(card).toContain("# nano, w8");
  expect(card).toContain(openCheckpoint(out).packed?.source.fingerprint ?? "none");
  expect(card).toContain(`${Math.exp(comparison?.packedNll ?? 0).toFixed(3)} after`);
});

test("a call that was ended goes on behind its finished layers, to the same bytes", async () => {
  const options = { ...quick, format: "w4", group: 64, method: "gptq" } as const;
  const whole = join(folder, "whole");
  await quantize(nano, whole, options);

  const out = join(folder, "ended");
  const controller = new AbortController();
  const until = { ...options, signal: controller.signal };
  const onProgress = ({ done }: { done: number }) => done > 2 && controller.abort();
  await expect(quantize(nano, out, { ...until, onProgress })).rejects.toMatchObject({ name: "AbortError" });
  expect(existsSync(out)).toBe(false);
  expect(() => openCheckpoint(`${out}.unfinished`)).toThrow();

  const progress: number[] = [];
  await quantize(nano, out, { ...options, onProgress: ({ done }) => progress.push(done) });
  expect(progress.slice(0, 3)).toEqual([1, 2, 2.1]);
  for (const name of readdirSync(whole)) {
    expect(readFileSync(join(out, name)).equals(readFileSync(join(whole, name))), name).toBe(true);
  }
  expect(readdirSync(out).sort()).toEqual(readdirSync(whole).sort());
  expect(readdirSync(folder).filter((name) => name.startsWith("ended"))).toEqual(["ended"]);
});

test("other settings begin anew", async () => {
  const options = { ...quick, format: "w4", method: "gptq" } as const;
  const out = join(folder, "anew");
  const controller = new AbortController();
  const onProgress = ({ done }: { done: number }) => done > 1 && controller.abort();
  const ended = quantize(nano, out, { ...options, group: 64, signal: controller.signal, onProgress });
  await expect(ended).rejects.toMatchObject({ name: "AbortError" });
  const progress: number[] = [];
  await quantize(nano, out, { ...options, group: 32, onProgress: ({ done }) => progress.push(done) });
  expect(progress[0]).toBe(0.1);
  expect(openCheckpoint(out).packed?.group).toBe(32);
});

test("a calibration text that is too short is told, and nothing is written", async () => {
  const options = { format: "w4", group: 128, method: "gptq", calibration: "Too short." } as const;
  await expect(quantize(nano, join(folder, "short"), options)).rejects.toMatchObject({
    code: "OPTION",
    message: /at least 2560 tokens/,
  });
  expect(readdirSync(folder).filter((name) => name.startsWith("short"))).toEqual([]);
});

test("models with qk-norm and a head of their own are calibrated too", async () => {
  const source = join(folder, "qwen3");
  writeSeededCheckpoint(
    source,
    {
      architectures: ["Qwen3ForCausalLM"],
      model_type: "qwen3",
      hidden_act: "silu",
      attention_bias: false,
      vocab_size: 4096,
      hidden_size: 96,
      intermediate_size: 160,
      num_hidden_layers: 2,
      num_attention_heads: 3,
      num_key_value_heads: 1,
      head_dim: 32,
      max_position_embeddings: 1024,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
    },
    { seed: 7, dtype: "BF16" },
  );
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    copyFileSync(join(nano, name), join(source, name));
  }
  const out = join(folder, "qwen3-w4");
  const { comparison } = await quantize(source, out, { ...quick, format: "w8", group: 32, method: "p-gptq" });
  expect(comparison?.kl).toBeLessThan(0.02);
  const states = (reference: string) =>
    withModel(reference, { activations: "f32" }, (model) =>
      withSequence(model, 64, async (sequence) => {
        await prefillIn(
          sequence,
          Int32Array.from({ length: 64 }, (_, i) => 5 * i),
          64,
        );
        return bitsOf(sequence.logits());
      }),
    );
  expect(await states(out)).not.toEqual(await states(source));
});

test("a folder in the way that is somebody else's stays", async () => {
  const out = join(folder, "theirs");
  mkdirSync(`${out}.unfinished`);
  writeFileSync(join(`${out}.unfinished`, "thesis.txt"), "years of work");
  const options = { ...quick, format: "w4", group: 128, method: "gptq" } as const;
  await expect(quantize(nano, out, options)).rejects.toMatchObject({ code: "STATE", message: /in the way/ });
  expect(readdirSync(`${out}.unfinished`)).toEqual(["thesis.txt"]);
});
