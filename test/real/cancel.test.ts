import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SeededConfig, seededPrompt, writeSeededCheckpoint } from "../../src/bench/seeded-checkpoint.ts";
import { greedy } from "../../src/engine/sampling.ts";
import type { NativeModel } from "../../src/native/binding.ts";
import { bitsOf, withModel, withSequence } from "./native-model.ts";

/** Narrow and deep, so that a cancel always comes in the middle of many layers. */
const config: SeededConfig = {
  architectures: ["MiniCPMForCausalLM"],
  model_type: "minicpm",
  vocab_size: 96,
  hidden_size: 64,
  intermediate_size: 112,
  num_hidden_layers: 48,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  scale_emb: 12,
  scale_depth: 1.4,
  dim_model_base: 32,
  bos_token_id: 1,
  eos_token_id: 2,
};
/** rms_norm, q, k, v, rope, rope, kv_append, attention, o; rms_norm, gate, up, silu_mul, down. */
const opsOfLayer = 14;
const prompt = seededPrompt(config, 1, 8000);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-cancel-"));
  writeSeededCheckpoint(folder, config, { seed: 1, dtype: "BF16" });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Waits until `count` more ops have started. */
async function opsPass(model: NativeModel, count: number): Promise<void> {
  const start = model.opsStarted;
  while (model.opsStarted < start + count) await setImmediate();
}

describe.each(["cpu", "reference"] as const)("on %s", (device) => {
  test("after a cancel at most two layers' ops start, in a prefill", async () => {
    await withModel(folder, { device, threads: 2 }, (model) =>
      withSequence(model, 8192, async (sequence) => {
        const running = sequence.prefill(prompt);
        await opsPass(model, 100);
        sequence.cancel();
        const atCancel = model.opsStarted;
        expect(await running).toBe("cancelled");
        expect(model.opsStarted - atCancel).toBeLessThanOrEqual(2 * opsOfLayer);
        expect(sequence.length).toBeLessThan(prompt.length);
      }),
    );
  });

  test("after a cancel at most two layers' ops start, in a decode", async () => {
    await withModel(folder, { device, threads: 2 }, (model) =>
      withSequence(model, 8192, async (sequence) => {
        await sequence.prefill(prompt.subarray(0, 4));
        const running = sequence.decode(
          { count: 8000, stopTokens: new Int32Array(), sampling: greedy },
          () => {},
        );
        await opsPass(model, 100);
        sequence.cancel();
        const atCancel = model.opsStarted;
        expect(await running).toBe("cancelled");
        expect(model.opsStarted - atCancel).toBeLessThanOrEqual(2 * opsOfLayer);
        expect(sequence.length).toBeLessThan(8000);
      }),
    );
  });
});

test("what a cancel left goes on as if nothing had been", async () => {
  const tokens = prompt.subarray(0, 3000);
  await withModel(folder, { threads: 2 }, async (model) => {
    const whole = await withSequence(model, 4096, async (sequence) => {
      await sequence.prefill(tokens);
      return bitsOf(sequence.logits());
    });
    await withSequence(model, 4096, async (sequence) => {
      let cancels = 0;
      while (sequence.length < tokens.length) {
        const before = sequence.length;
        const running = sequence.prefill(tokens.subarray(before));
        if (cancels < 3) {
          await opsPass(model, 200 * (cancels + 1));
          sequence.cancel();
          expect(await running).toBe("cancelled");
          ++cancels;
          expect(sequence.tokens()).toEqual(tokens.slice(0, sequence.length));
        } else {
          expect(await running).toBe("done");
        }
      }
      expect(cancels).toBe(3);
      expect(bitsOf(sequence.logits())).toEqual(whole);
    });
  });
});

test("a cancel ends queued calls too, and a call made after it runs", async () => {
  await withModel(folder, { threads: 2 }, (model) =>
    withSequence(model, 8192, async (sequence) => {
      const first = sequence.prefill(prompt.subarray(0, 4000));
      const second = sequence.prefill(prompt.subarray(4000));
      await opsPass(model, 50);
      sequence.cancel();
      expect(await Promise.all([first, second])).toEqual(["cancelled", "cancelled"]);
      sequence.truncate(0);
      expect(await sequence.prefill(prompt.subarray(0, 3))).toBe("done");
      expect(sequence.length).toBe(3);
    }),
  );
});
