import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { loadModel } from "../../src/index.ts";
import { sharedPath, testNeeding } from "../needs.ts";
import { decode, prefillIn, withModel, withSequence } from "./native-model.ts";

/** stories260K, a really trained 260K-parameter model, in MiniCPM4's form; its next tokens as published. */
const folder = sharedPath("data/stories260K/minicpm4");
const published = sharedPath("data/stories260K/greedy200.txt");
const testWithStories = testNeeding([folder]);

function golden(): { prompt: Int32Array; greedy: Int32Array } {
  const { prompt_ids, greedy_ids } = JSON.parse(readFileSync(join(folder, "greedy.json"), "utf8"));
  return { prompt: Int32Array.from(prompt_ids), greedy: Int32Array.from(greedy_ids) };
}

const runs = [
  { device: "cpu", threads: 1, kvType: "f32" },
  { device: "cpu", threads: 2, kvType: "f32" },
  { device: "cpu", threads: 2, kvType: "f16" },
  { device: "reference", threads: 1, kvType: "f32" },
] as const;

describe.each(runs)("on $device with $threads threads and $kvType keys and values", (run) => {
  testWithStories("the 199 greedy tokens are the published ones", async () => {
    const { prompt, greedy } = golden();
    const made = await withModel(folder, run, (model) =>
      withSequence(model, 256, async (sequence) => {
        await sequence.prefill(prompt);
        return decode(sequence, greedy.length);
      }),
    );
    expect(made).toEqual(greedy);
  });

  for (const chunk of [1, 7, 64]) {
    testWithStories(`they follow when their first 100 are prefilled in chunks of ${chunk}`, async () => {
      const { prompt, greedy } = golden();
      const first = Int32Array.of(...prompt, ...greedy.subarray(0, 100));
      const made = await withModel(folder, run, (model) =>
        withSequence(model, 256, async (sequence) => {
          await prefillIn(sequence, first, chunk);
          return decode(sequence, greedy.length - 100);
        }),
      );
      expect(made).toEqual(greedy.subarray(100));
    });
  }
});

testNeeding([folder, published])("a prompt streams the published story", async () => {
  const story = readFileSync(published, "utf8");
  const prompt = "Once upon a time";
  await using model = await loadModel(folder, { kvType: "f32" });
  let text = prompt;
  let pieces = 0;
  for await (const piece of model.complete(prompt, { temperature: 0, maxTokens: 150 })) {
    text += piece;
    ++pieces;
  }
  expect(pieces).toBeGreaterThan(1);
  expect(text.length).toBeGreaterThan(300);
  expect(story.startsWith(text)).toBe(true);
});

testNeeding([folder])("another seed tells another story", async () => {
  await using model = await loadModel(folder);
  const tell = async (seed: number) =>
    (await model.complete("Once upon a time", { seed, temperature: 1, maxTokens: 40 })).text;
  expect(await tell(1)).toBe(await tell(1));
  expect(await tell(1)).not.toBe(await tell(2));
});
