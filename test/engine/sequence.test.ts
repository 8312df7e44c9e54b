import { expect, test } from "vitest";
import { nativeSampling } from "../../src/engine/sampling.ts";
import { Sequence } from "../../src/engine/sequence.ts";
import type { TokenEvent } from "../../src/native/binding.ts";
import { type Script, ScriptedModel } from "./scripted.ts";

const sampling = nativeSampling({ temperature: 0 }, {}, 100);
const stopTokens = Int32Array.of(2);
const ignore = () => {};

function sequenceOf(script: Partial<Script> = {}, capacity = 100) {
  const native = new ScriptedModel({ answers: [[5, 6, 2]], ...script }).createSequence({ capacity });
  return { native, sequence: new Sequence(native) };
}

test("prefill tells its progress, decode its tokens and why it ended", async () => {
  const { sequence } = sequenceOf();
  const progress: number[] = [];
  await sequence.prefill(Int32Array.of(1, 3, 3, 3, 3, 3), (done) => progress.push(done));
  const events: TokenEvent[] = [];
  const reason = await sequence.decode({ count: 9, stopTokens, sampling }, (event) => events.push(event));
  expect(progress).toEqual([4, 6]);
  expect(events.flatMap(({ tokens }) => [...tokens])).toEqual([5, 6, 2]);
  expect(reason).toBe("stop");
  expect([...sequence.tokens()]).toEqual([1, 3, 3, 3, 3, 3, 5, 6]);
});

test("a signal that fires during a decode cancels it, and the sequence goes on being usable", async () => {
  const { sequence } = sequenceOf({ answers: [[]], filler: 7 });
  const stop = new AbortController();
  await sequence.prefill(Int32Array.of(1), ignore);
  const decode = sequence.decode({ count: 90, stopTokens, sampling }, () => stop.abort("enough"), {
    signal: stop.signal,
  });
  await expect(decode).rejects.toMatchObject({ name: "AbortError", cause: "enough" });
  expect(sequence.length).toBeLessThan(5);
  expect(await sequence.decode({ count: 3, stopTokens, sampling }, ignore)).toBe("count");
});

test("a signal that has fired starts nothing", async () => {
  const { sequence, native } = sequenceOf();
  const prefill = sequence.prefill(Int32Array.of(1), ignore, { signal: AbortSignal.abort() });
  await expect(prefill).rejects.toMatchObject({ name: "AbortError" });
  expect(native.prefills).toEqual([]);
});

test("a signal that fires after a call has ended cancels nothing", async () => {
  const { sequence } = sequenceOf();
  const stop = new AbortController();
  await sequence.prefill(Int32Array.of(1), ignore, { signal: stop.signal });
  const decode = sequence.decode({ count: 9, stopTokens, sampling }, ignore);
  stop.abort();
  expect(await decode).toBe("stop");
});

test("native errors come out as the public ones", async () => {
  const { sequence } = sequenceOf({}, 3);
  expect(() => sequence.truncate(5)).toThrowError(expect.objectContaining({ code: "STATE" }));
  await expect(sequence.prefill(Int32Array.of(1, 2, 3, 4), ignore)).rejects.toMatchObject({
    code: "CONTEXT_OVERFLOW",
    needed: 4,
    capacity: 3,
  });
  sequence.dispose();
  await expect(sequence.prefill(Int32Array.of(1), ignore)).rejects.toMatchObject({ code: "STATE" });
});

test("a fork goes on by itself", async () => {
  const native = new ScriptedModel({ answers: [[5, 6, 2]] }).createSequence({ capacity: 20 });
  const sequence = new Sequence(native);
  await sequence.prefill(Int32Array.of(1, 2), () => {});
  const fork = sequence.fork();
  await fork.prefill(Int32Array.of(3), () => {});
  expect([...fork.tokens()]).toEqual([1, 2, 3]);
  expect([...sequence.tokens()]).toEqual([1, 2]);
});
