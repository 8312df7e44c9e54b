/** The API on the real addon, with stories260K (trained) where it is, and the tiny model (babble) everywhere. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { AbortError, type Generation, type GenerationEvent, loadModel } from "../../src/index.ts";
import { addonPath } from "../../src/native/binding.ts";
import { sharedPath, testNeeding } from "../needs.ts";

const stories = sharedPath("data/stories260K/minicpm4");
const testNative = testNeeding([addonPath()], "npm run build:native");
const testStories = testNeeding([addonPath(), stories]);

async function eventsOf(run: Generation): Promise<GenerationEvent[]> {
  const events: GenerationEvent[] = [];
  for await (const event of run.events()) events.push(event);
  return events;
}

testStories("tokens from bos are the published ones, through the whole API", async () => {
  const { prompt_ids, greedy_ids } = JSON.parse(readFileSync(join(stories, "greedy.json"), "utf8"));
  await using model = await loadModel(stories, { kvType: "f32" });
  const prompt = Int32Array.from(prompt_ids);
  const { tokens, finishReason } = await model.complete(prompt, { temperature: 0, maxTokens: 199 });
  expect([...tokens]).toEqual(greedy_ids);
  expect(finishReason).toBe("length");
});

testStories("a text is streamed piece by piece, equal to the awaited text", async () => {
  await using model = await loadModel(stories);
  const run = model.complete("One day, a girl named Lily", { temperature: 0, maxTokens: 60 });
  const pieces: string[] = [];
  for await (const piece of run) pieces.push(piece);
  expect(pieces.length).toBeGreaterThan(1);
  expect(pieces.join("")).toBe((await run).text);
  expect(pieces.join("")).toMatch(/^ [a-zA-Z ,.'"\n!?]+$/);
});

testStories("a stop text ends the story before it, whatever came in one event", async () => {
  await using model = await loadModel(stories);
  const prompt = "Once upon a time";
  const whole = await model.complete(prompt, { temperature: 0, maxTokens: 80 });
  const cut = await model.complete(prompt, { temperature: 0, maxTokens: 80, stop: ["."] });
  expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(".")));
  expect(cut.finishReason).toBe("stop");
  expect([...cut.tokens]).toEqual([...whole.tokens.subarray(0, cut.tokens.length)]);
});

testNative("the same seed gives the same text, another one another", async () => {
  await using model = await loadModel("tiny");
  const say = async (seed: number) =>
    (await model.complete("a", { seed, temperature: 1, topP: 1, maxTokens: 40 })).text;
  expect(await say(1)).toBe(await say(1));
  expect(await say(1)).not.toBe(await say(2));
});

testNative("a seed that was told gives the same text again", async () => {
  await using model = await loadModel("tiny");
  const options = { temperature: 1, topP: 1, maxTokens: 40 };
  const first = await model.complete("a", options);
  const again = await model.complete("a", { ...options, seed: first.seed });
  expect([...again.tokens]).toEqual([...first.tokens]);
});

testNative("events are prefill progress up to the whole prompt, text, and a finish that counts", async () => {
  await using model = await loadModel("tiny");
  const events = await eventsOf(model.complete("x".repeat(300), { maxTokens: 20, ignoreEos: true }));
  const prefill = events.filter((event) => event.type === "prefill");
  expect(prefill[0]).toMatchObject({ done: 0, cached: 0 });
  expect(prefill.at(-1)?.done).toBe(prefill.at(-1)?.total);
  const finish = events.at(-1);
  if (finish?.type !== "finish") return expect.unreachable();
  const { usage, stats, tokens } = finish.result;
  expect(usage).toMatchObject({ prompt: prefill.at(-1)?.total, completion: 20 });
  expect(tokens).toHaveLength(20);
  expect(stats.ttftMs).toBeGreaterThan(0);
  expect(stats.decodeTps).toBeGreaterThan(0);
});

testNative("log-probabilities are of this model, the best one first", async () => {
  await using model = await loadModel("tiny");
  const { logprobs, tokens } = await model.complete("abc", {
    temperature: 0,
    maxTokens: 5,
    ignoreEos: true,
    logprobs: 3,
  });
  expect(logprobs).toHaveLength(tokens.length);
  for (const [index, { token, logprob, top }] of (logprobs ?? []).entries()) {
    expect(token).toBe(tokens[index]);
    expect(top).toHaveLength(3);
    expect(top[0]).toEqual({ token, logprob }); // greedy takes the best
    expect(logprob).toBeLessThan(0);
  }
});

testNative("a logit bias decides", async () => {
  await using model = await loadModel("tiny");
  const { tokens } = await model.complete("abc", { temperature: 0, maxTokens: 4, logitBias: { 300: 1000 } });
  expect([...tokens]).toEqual([300, 300, 300, 300]);
});

testNative("an abort rejects with the part that was made, and the session goes on", async () => {
  await using model = await loadModel("tiny");
  const session = model.createSession();
  const run = session.send("Hi", { ignoreEos: true, temperature: 1 });
  for await (const event of run.events()) if (event.type === "text") break;
  const error = await run.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(AbortError);
  expect(error.partial).toMatchObject({ finishReason: "aborted", usage: { cached: 0 } });
  expect(session.messages).toEqual([]);
  const { usage } = await session.send("Hi", { maxTokens: 3, temperature: 0 });
  expect(usage.cached).toBe(usage.prompt - 1);
});

testNative("a session begins as a chat with the same message does", async () => {
  await using model = await loadModel("tiny");
  const session = model.createSession({ system: "Be brief." });
  const options = { temperature: 0, maxTokens: 12 };
  const { tokens } = await session.send("One", options);
  expect([...(await model.chat(session.messages.slice(0, -1), options)).tokens]).toEqual([...tokens]);
  await session.send("Two", options);
  expect(session.contextUsed).toBeGreaterThan(tokens.length);
});

testNative("texts are embedded as vectors of length 1, like ones near each other", async () => {
  await using model = await loadModel("nano", { contextLength: 256 });
  const [cat, kitten, sum] = await model.embed(["Tell me about cats.", "Tell me about a cat.", "7 + 5 = 12"]);
  const dot = (a: Float32Array | undefined, b: Float32Array | undefined) =>
    [...(a ?? [])].reduce((total, value, index) => total + value * (b?.[index] ?? 0), 0);
  expect(cat).toHaveLength(model.info.config.hiddenSize);
  expect(dot(cat, cat)).toBeCloseTo(1, 5);
  expect(dot(cat, kitten)).toBeGreaterThan(dot(cat, sum));
  expect([...(await model.embed("Tell me about cats."))]).toEqual([...(cat ?? [])]);
  await expect(model.embed("word ".repeat(300))).rejects.toMatchObject({ code: "CONTEXT_OVERFLOW" });
  await expect(model.embed("x", { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: "AbortError",
  });
});

testNative("a full context is an error with numbers, and a run up to the edge ends with length", async () => {
  await using model = await loadModel("tiny", { contextLength: 64 });
  await expect(model.complete(new Int32Array(64).fill(50))).rejects.toMatchObject({
    code: "CONTEXT_OVERFLOW",
    needed: 65,
    capacity: 64,
  });
  const { finishReason, usage } = await model.complete(new Int32Array(60).fill(50), { ignoreEos: true });
  expect([finishReason, usage.completion]).toEqual(["length", 4]);
});

testNative("runs of several sessions and chats at once come out as alone", async () => {
  await using model = await loadModel("tiny");
  const options = { temperature: 0.9, seed: 3, maxTokens: 25, ignoreEos: true };
  const alone = await model.complete("abc", options);
  const together = await Promise.all(["abc", "x", "abc", "yz"].map((text) => model.complete(text, options)));
  expect([...(together[0]?.tokens ?? [])]).toEqual([...alone.tokens]);
  expect([...(together[2]?.tokens ?? [])]).toEqual([...alone.tokens]);
});

testNative("close during a run aborts it and returns", async () => {
  const model = await loadModel("tiny");
  const run = model.complete("a", { ignoreEos: true });
  await model.close();
  await expect(run).rejects.toMatchObject({ name: "AbortError" });
  await expect(model.complete("a")).rejects.toMatchObject({ code: "STATE" });
});

testNative("what onProgress throws while weights load is what loadModel rejects with", async () => {
  const onProgress = ({ phase }: { phase: string }) => {
    if (phase === "load") throw new RangeError("no more");
  };
  await expect(loadModel("tiny", { onProgress })).rejects.toThrow(new RangeError("no more"));
});
