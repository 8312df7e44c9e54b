import { expect, test } from "vitest";
import { nativeSampling } from "../../src/engine/sampling.ts";

test("without anything given, temperature and topP are 0.8 and nothing else is on", () => {
  expect(nativeSampling({}, {}, 100)).toMatchObject({
    temperature: expect.closeTo(0.8),
    topP: expect.closeTo(0.8),
    topK: 0,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    biasTokens: new Int32Array(),
    biases: new Float32Array(),
    logprobs: -1,
  });
});

test("the caller's options go before the model's, the model's before ours", () => {
  const defaults = {
    doSample: true,
    temperature: 0.7,
    topK: 40,
    topP: 0.9,
    minP: 0.1,
    repetitionPenalty: 1.02,
  };
  expect(nativeSampling({ temperature: 1.5, topK: 0 }, defaults, 100)).toMatchObject({
    temperature: 1.5,
    topK: 0,
    topP: 0.9,
    minP: 0.1,
    repetitionPenalty: 1.02,
  });
});

test("do_sample false means temperature 0, unless the caller gives one", () => {
  const defaults = { doSample: false, temperature: 0.6 };
  expect(nativeSampling({}, defaults, 100).temperature).toBe(0);
  expect(nativeSampling({ temperature: 0.5 }, defaults, 100).temperature).toBe(0.5);
});

test("a seed that is not given is random, and fits a number", () => {
  const seeds = Array.from({ length: 20 }, () => nativeSampling({}, {}, 100).seed);
  expect(new Set(seeds).size).toBeGreaterThan(15);
  for (const seed of seeds) expect(seed).toBeLessThan(2n ** 32n);
});

test.each([
  [7, 7n],
  [0, 0n],
  [Number.MAX_SAFE_INTEGER, BigInt(Number.MAX_SAFE_INTEGER)],
  [2n ** 64n - 1n, 2n ** 64n - 1n],
])("the seed %s is taken as it is", (seed, expected) => {
  expect(nativeSampling({ seed }, {}, 100).seed).toBe(expected);
});

test("a logit bias becomes two lists", () => {
  const { biasTokens, biases } = nativeSampling({ logitBias: { 5: -100, 99: 2.5 } }, {}, 100);
  expect([...biasTokens]).toEqual([5, 99]);
  expect([...biases]).toEqual([-100, 2.5]);
});

test.each([
  ["temperature", { temperature: -0.1 }],
  ["temperature", { temperature: Number.NaN }],
  ["temperature", { temperature: Number.POSITIVE_INFINITY }],
  ["topK", { topK: 1.5 }],
  ["topK", { topK: -1 }],
  ["topP", { topP: 1.01 }],
  ["minP", { minP: -0.01 }],
  ["repetitionPenalty", { repetitionPenalty: 0 }],
  ["presencePenalty", { presencePenalty: Number.NaN }],
  ["frequencyPenalty", { frequencyPenalty: "1" as unknown as number }],
  ["seed", { seed: -1 }],
  ["seed", { seed: 0.5 }],
  ["seed", { seed: 2 ** 53 }],
  ["seed", { seed: 2n ** 64n }],
  ["logitBias's token", { logitBias: { 100: 1 } }],
  ["logitBias[3]", { logitBias: { 3: Number.NaN } }],
  ["logprobs", { logprobs: 21 }],
])("%s out of range is refused by name: %o", (option, options) => {
  expect(() => nativeSampling(options, {}, 100)).toThrowError(
    expect.objectContaining({ name: "OptionError", code: "OPTION", option }),
  );
});

test("no more log-probabilities than there are tokens", () => {
  expect(nativeSampling({ logprobs: 5 }, {}, 5).logprobs).toBe(5);
  expect(() => nativeSampling({ logprobs: 6 }, {}, 5)).toThrow(/from 0 to 5, not 6/);
});
