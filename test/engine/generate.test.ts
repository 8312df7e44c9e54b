import { expect, test } from "vitest";
import { type GenerateTokensOptions, generate, type TokensEvent } from "../../src/engine/generate.ts";
import { nativeSampling } from "../../src/engine/sampling.ts";
import { Sequence } from "../../src/engine/sequence.ts";
import { type Script, ScriptedModel } from "./scripted.ts";

const options: GenerateTokensOptions = {
  stopTokens: Int32Array.of(2),
  sampling: nativeSampling({ temperature: 0 }, {}, 100),
};
const prompt = Int32Array.of(1, 10, 11);

function sequenceOf(script: Partial<Script> = {}, capacity = 100) {
  const native = new ScriptedModel({ answers: [[5, 6, 2]], ...script }).createSequence({ capacity });
  return { native, sequence: new Sequence(native) };
}

async function eventsOf(stream: AsyncIterable<TokensEvent>): Promise<TokensEvent[]> {
  const events: TokensEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function tokensOf(stream: AsyncIterable<TokensEvent>): Promise<number[]> {
  const events = await eventsOf(stream);
  return events.flatMap((event) => (event.type === "tokens" ? [...event.tokens] : []));
}

test("a run is prefill progress, tokens, and one end", async () => {
  const { sequence } = sequenceOf({ batch: 2, slice: 2 });
  expect(await eventsOf(generate(sequence, prompt, options))).toEqual([
    { type: "prefill", done: 0, total: 3, cached: 0 },
    { type: "prefill", done: 2, total: 3, cached: 0 },
    { type: "prefill", done: 3, total: 3, cached: 0 },
    { type: "tokens", tokens: Int32Array.of(5, 6) },
    { type: "tokens", tokens: Int32Array.of(2) },
    { type: "end", reason: "stop" },
  ]);
});

test("maxTokens ends it with length", async () => {
  const { sequence } = sequenceOf({ filler: 7 });
  const events = await eventsOf(generate(sequence, prompt, { ...options, maxTokens: 2 }));
  expect(events.at(-1)).toEqual({ type: "end", reason: "length" });
  expect(sequence.length).toBe(4); // the last token is pending
});

test("without maxTokens it ends with length where the sequence is full", async () => {
  const { sequence } = sequenceOf({ answers: [[]], filler: 7 }, 8);
  const events = await eventsOf(generate(sequence, prompt, options));
  expect(events.filter(({ type }) => type === "tokens")).toHaveLength(5);
  expect(events.at(-1)).toEqual({ type: "end", reason: "length" });
});

test("what the sequence holds of the prompt is not prefilled again", async () => {
  const { sequence, native } = sequenceOf();
  await tokensOf(generate(sequence, prompt, options));
  const longer = Int32Array.of(...prompt, 5, 6, 20, 21);
  const [first] = await eventsOf(generate(sequence, longer, options));
  expect(first).toEqual({ type: "prefill", done: 5, total: 7, cached: 5 });
  expect(native.prefills).toEqual([
    [1, 10, 11],
    [20, 21],
  ]);
});

test("what the block store has of the prompt counts as cached", async () => {
  const { sequence } = sequenceOf({ stored: 2 });
  const events = await eventsOf(generate(sequence, Int32Array.of(...prompt, 12), options));
  expect(events.filter(({ type }) => type === "prefill")).toEqual([
    { type: "prefill", done: 0, total: 4, cached: 0 },
    { type: "prefill", done: 4, total: 4, cached: 2 },
  ]);
});

test("from the first difference on, what was held is forgotten", async () => {
  const { sequence, native } = sequenceOf();
  await tokensOf(generate(sequence, prompt, options));
  await tokensOf(generate(sequence, Int32Array.of(1, 30), options));
  expect(native.prefills[1]).toEqual([30]);
  expect([...sequence.tokens()]).toEqual([1, 30, 5, 6]);
});

test("the same prompt again, or a beginning of it, prefills its last token", async () => {
  const { sequence, native } = sequenceOf();
  await tokensOf(generate(sequence, prompt, options));
  expect(await tokensOf(generate(sequence, prompt, options))).toEqual([5, 6, 2]);
  await tokensOf(generate(sequence, prompt.subarray(0, 2), options));
  expect(native.prefills.slice(1)).toEqual([[11], [10]]);
});

test("a prompt that cannot fit is refused with numbers, before any prefill", async () => {
  const { sequence, native } = sequenceOf({}, 8);
  await expect(tokensOf(generate(sequence, prompt, { ...options, maxTokens: 6 }))).rejects.toMatchObject({
    code: "CONTEXT_OVERFLOW",
    needed: 9,
    capacity: 8,
    message: expect.stringContaining("contextLength: 9"),
  });
  await expect(tokensOf(generate(sequence, new Int32Array(8), options))).rejects.toMatchObject({ needed: 9 });
  expect(native.prefills).toEqual([]);
  expect(await tokensOf(generate(sequence, prompt, { ...options, maxTokens: 5 }))).toEqual([5, 6, 2]);
});

test("a refused prompt leaves what the sequence holds", async () => {
  const { sequence } = sequenceOf({}, 8);
  await tokensOf(generate(sequence, prompt, options));
  await expect(tokensOf(generate(sequence, new Int32Array(9), options))).rejects.toThrow();
  expect([...sequence.tokens()]).toEqual([1, 10, 11, 5, 6]);
});

test.each([0, -1, 1.5, Number.NaN])("maxTokens %s is refused", async (maxTokens) => {
  const { sequence } = sequenceOf();
  const run = tokensOf(generate(sequence, prompt, { ...options, maxTokens }));
  await expect(run).rejects.toMatchObject({ code: "OPTION", option: "maxTokens" });
});

test("an empty prompt is refused", async () => {
  const { sequence } = sequenceOf();
  const run = tokensOf(generate(sequence, new Int32Array(), options));
  await expect(run).rejects.toMatchObject({ code: "OPTION", option: "prompt" });
});

test("a signal during the prefill ends it there", async () => {
  const { sequence } = sequenceOf({ slice: 1 });
  const stop = new AbortController();
  const run = async () => {
    for await (const event of generate(sequence, new Int32Array(50), { ...options, signal: stop.signal })) {
      if (event.type === "prefill" && event.done === 3) stop.abort();
    }
  };
  await expect(run()).rejects.toMatchObject({ name: "AbortError" });
  expect(sequence.length).toBeLessThan(10);
});

test("leaving the loop stops the sequence, which is idle then", async () => {
  const { sequence } = sequenceOf({ answers: [[]], filler: 7 }, 1000);
  for await (const event of generate(sequence, prompt, options)) if (event.type === "tokens") break;
  expect(sequence.length).toBeLessThan(20);
  expect([...sequence.tokens().subarray(0, 3)]).toEqual([1, 10, 11]);
  sequence.truncate(3);
});

test("a run that fails midway throws after the tokens that it made", async () => {
  const { sequence } = sequenceOf({ answers: [[5, 6, 7, 8]], failAfter: 2 });
  const seen: number[] = [];
  const run = async () => {
    for await (const event of generate(sequence, prompt, options)) {
      if (event.type === "tokens") seen.push(...event.tokens);
    }
  };
  await expect(run()).rejects.toMatchObject({ code: "STATE" });
  expect(seen).toEqual([5, 6]);
});
