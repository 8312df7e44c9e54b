import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect } from "vitest";
import { loadModel } from "../../src/index.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { root, testNeeding } from "../needs.ts";
import { halfBillionConfig, halfBillionFolder, minicpm4Tokenizer } from "./half-billion.ts";
import { bitsOf, decode, withModel, withSequence } from "./native-model.ts";
import { expectSameBits } from "./same-bits.ts";

/** MiniCPM4-0.5B's sizes and tokenizer, random weights: what it says is babble, what it takes is real. */
const testAtRealSize = testNeeding([halfBillionConfig, minicpm4Tokenizer]);
let folder = "";
beforeAll(() => {
  if (existsSync(halfBillionConfig) && existsSync(minicpm4Tokenizer)) folder = halfBillionFolder();
});

describe("MiniCPM4-0.5B's shape with random weights", () => {
  testAtRealSize("chats: the prompt is the published one, and text streams", async () => {
    await using model = await loadModel(folder, { contextLength: 512 });
    expect(model.info).toMatchObject({ contextLength: 512, maxContextLength: 32768, kvType: "f16" });
    const run = model.chat([{ role: "user", content: "Hi" }], { maxTokens: 24, ignoreEos: true, seed: 1 });
    let text = "";
    for await (const piece of run) text += piece;
    const result = await run;
    expect(result.text).toBe(text);
    expect(result.tokens).toHaveLength(24);
    expect(result.usage).toEqual({ prompt: 11, cached: 0, completion: 24 });
    expect(result.finishReason).toBe("length");
    expect(result.stats.decodeTps).toBeGreaterThan(0);
  });

  testAtRealSize("the embedding is mapped once: a tied head takes no second copy", async () => {
    const { tiedHead, plan } = openCheckpoint(folder);
    expect(tiedHead).toBe(true);
    await withModel(folder, { threads: 0, kvType: "f16" }, (model) => {
      const planned = model.memoryPlan({ capacity: 64, sequences: 0 });
      expect(planned.mapped).toBe(plan.files.reduce((total, { bytes }) => total + bytes, 0));
      expect(planned.weights).toBeLessThan(2 ** 20);
    });
  });

  testAtRealSize("a full context takes what the plan says, and the process no more", async () => {
    const script = join(root, "test/real/children/memory.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--expose-gc",
      script,
      root,
      folder,
      "32768",
    ]);
    const found = JSON.parse(stdout);
    const { planned } = found;
    expect(found.length).toBeGreaterThan(32768 - 64);
    // As `model.info.memory` and `minicpm inspect` print it.
    const native = planned.mapped + planned.weights + planned.kv + planned.activations;
    expect(planned.total).toBe(native + planned.tokenizer);
    expect(planned.kv).toBeGreaterThanOrEqual(32768 * 24 * 2 * 2 * 64 * 2); // layers, K and V, kv heads, head_dim, f16
    expect(Math.abs((found.allocated + found.mapped) / native - 1)).toBeLessThan(0.05);
    expect(found.tokenizerTook).toBeLessThan(planned.tokenizer);
    expect(found.peak).toBeLessThan(found.before + planned.total);
    expect(found.end).toEqual({ allocated: 0, mapped: 0 });
  });

  testAtRealSize("gives the same bits in any chunks, with any threads", async () => {
    const tokens = Int32Array.from({ length: 130 }, (_, i) => 3 + ((i * 7919) % 73000));
    await expectSameBits(folder, { device: "cpu", kvType: "f16" }, tokens, 256);
  });

  testAtRealSize("a decoded token has the bits of the same token prefilled", async () => {
    await withModel(folder, { threads: 2, kvType: "f16" }, (model) =>
      withSequence(model, 256, async (sequence) => {
        await sequence.prefill(Int32Array.of(1, 73441, 3060, 5, 24252, 73440));
        await decode(sequence, 20);
        await sequence.step();
        const decoded = bitsOf(sequence.logits());
        const tokens = sequence.tokens();
        sequence.truncate(0);
        await sequence.prefill(tokens);
        expect(bitsOf(sequence.logits())).toEqual(decoded);
      }),
    );
  });
});
