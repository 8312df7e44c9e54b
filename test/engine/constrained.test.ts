import { describe, expect, test } from "vitest";
import type { Constraint } from "../../src/constraint/constraint.ts";
import { decodeConstrained } from "../../src/engine/constrained.ts";
import { greedy } from "../../src/engine/sampling.ts";
import { Sequence } from "../../src/engine/sequence.ts";
import { AbortError } from "../../src/errors.ts";
import { openModel } from "../../src/model/load.ts";
import type { NativeSampling } from "../../src/native/binding.ts";
import { withModel, withSequence } from "../real/native-model.ts";

const { vocabSize } = openModel("tiny").config;
const prompt = Int32Array.of(1, 70, 71, 72, 73);
const free: NativeSampling = { ...greedy, temperature: 1.5, seed: 11n };

/** Takes the tokens of a set; counts how often it is asked for what. */
class Only implements Constraint {
  fills = 0;
  readonly taken: number[] = [];

  constructor(
    private readonly legal: (token: number, position: number) => boolean,
    private readonly most = Number.POSITIVE_INFINITY,
  ) {}

  get isDone(): boolean {
    return this.taken.length >= this.most;
  }

  readonly isWhole = true;

  accept(token: number): boolean {
    if (!this.legal(token, this.taken.length)) return false;
    this.taken.push(token);
    return true;
  }

  fill(mask: Uint32Array): void {
    this.fills++;
    mask.fill(0);
    for (let token = 0; token < vocabSize; token++) {
      if (this.legal(token, this.taken.length))
        mask[token >>> 5] = (mask[token >>> 5] ?? 0) | (1 << (token & 31));
    }
  }

  forced(): number[] {
    return [];
  }

  rollback(count: number): void {
    this.taken.length -= count;
  }

  fork(): Constraint {
    throw new Error("not needed");
  }

  dispose(): void {}
}

async function made(constraint: Constraint, sampling: NativeSampling, count = 30): Promise<number[]> {
  const tokens: number[] = [];
  await withModel("tiny", {}, (model) =>
    withSequence(model, 128, async (native) => {
      const sequence = new Sequence(native);
      await sequence.prefill(prompt, () => {});
      const options = { count, stopTokens: new Int32Array(), sampling, constraint, vocabSize };
      await decodeConstrained(sequence, options, (event) => tokens.push(...event.tokens));
    }),
  );
  return tokens;
}

async function plain(sampling: NativeSampling, count = 30): Promise<number[]> {
  const tokens: number[] = [];
  await withModel("tiny", {}, (model) =>
    withSequence(model, 128, async (native) => {
      await native.prefill(prompt);
      const options = { count, stopTokens: new Int32Array(), sampling };
      await native.decode(options, (event) => tokens.push(...event.tokens));
    }),
  );
  return tokens;
}

const samplings: readonly (readonly [string, NativeSampling])[] = [
  ["greedy", greedy],
  ["sampled", free],
  ["with truncation", { ...free, topP: 0.9, topK: 40 }],
  ["with penalties", { ...free, repetitionPenalty: 1.3, presencePenalty: 0.5, frequencyPenalty: 0.2 }],
];

describe.each(samplings)("%s", (_, sampling) => {
  test("where everything is legal, the tokens are those of plain decoding, and no mask is made", async () => {
    const all = new Only(() => true);
    expect(await made(all, sampling)).toEqual(await plain(sampling));
    expect(all.fills).toBe(0);
  });
});

/** Masks first, then samples: what constrained tokens are, without truncation. */
async function maskedFirst(legal: (token: number) => boolean, sampling: NativeSampling, count: number) {
  const tokens: number[] = [];
  const mask = new Uint32Array(Math.ceil(vocabSize / 32));
  new Only(legal).fill(mask);
  await withModel("tiny", {}, (model) =>
    withSequence(model, 128, async (native) => {
      await native.prefill(prompt);
      for (let step = 0; step < count; step++) {
        if (step > 0) await native.step();
        tokens.push(...(await native.sample(sampling, mask)).tokens);
      }
    }),
  );
  return tokens;
}

test.each([2n, 3n, 4n])("seed %d: the tokens are those of masking before sampling", async (seed) => {
  const legal = (token: number) => token % 3 !== 1;
  const some = new Only(legal);
  const sampling = { ...free, seed };
  const tokens = await made(some, sampling, 60);
  expect(tokens).toEqual(await maskedFirst(legal, sampling, 60));
  expect(some.fills).toBeGreaterThan(0);
  expect(some.fills).toBeLessThan(60);
});

test("over many seeds, tokens come as often as their probability under the mask says", async () => {
  const legal = (token: number) => token >= 100 && token < 108;
  const runs = 4000;
  const counts = new Map<number, number>();
  let logits: Float32Array = new Float32Array();
  await withModel("tiny", {}, (model) =>
    withSequence(model, 128, async (native) => {
      const sequence = new Sequence(native);
      await sequence.prefill(prompt, () => {});
      logits = native.logits();
      for (let seed = 0; seed < runs; seed++) {
        const sampling = { ...free, seed: BigInt(seed) };
        const constraint = new Only(legal);
        const options = { count: 1, stopTokens: new Int32Array(), sampling, constraint, vocabSize };
        await decodeConstrained(sequence, options, ({ tokens: [token = -1] }) => {
          counts.set(token, (counts.get(token) ?? 0) + 1);
        });
      }
    }),
  );
  const weights = Array.from({ length: 8 }, (_, at) =>
    Math.exp((logits[100 + at] as number) / free.temperature),
  );
  const sum = weights.reduce((total, weight) => total + weight);
  // Chi square with 7 degrees of freedom: above 24.3 once in a thousand samplers that are right; the seeds are fixed.
  const distance = weights.reduce((total, weight, at) => {
    const expected = (runs * weight) / sum;
    return total + ((counts.get(100 + at) ?? 0) - expected) ** 2 / expected;
  }, 0);
  expect([...counts.keys()].every((token) => legal(token))).toBe(true);
  expect(distance).toBeLessThan(24.3);
});

test("it ends where nothing else can follow, and at a stop token", async () => {
  expect(await made(new Only(() => true, 3), greedy)).toHaveLength(3);
});

test("where no token may follow, it says so", async () => {
  await expect(made(new Only((_, position) => position < 2), greedy)).rejects.toMatchObject({
    code: "CONSTRAINT",
  });
});

test("an abort between two tokens ends it", async () => {
  const abort = new AbortController();
  await withModel("tiny", {}, (model) =>
    withSequence(model, 128, async (native) => {
      const sequence = new Sequence(native);
      await sequence.prefill(prompt, () => {});
      const options = {
        count: 50,
        stopTokens: new Int32Array(),
        sampling: greedy,
        constraint: new Only(() => true),
        vocabSize,
      };
      let tokens = 0;
      const running = decodeConstrained(sequence, options, () => ++tokens === 5 && abort.abort(), abort);
      await expect(running).rejects.toBeInstanceOf(AbortError);
      expect(tokens).toBe(5);
    }),
  );
});
