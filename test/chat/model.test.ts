import { expect, test, vi } from "vitest";
import type { Message } from "../../src/chat/message.ts";
import { AbortError } from "../../src/errors.ts";
import { answerTokens, scriptedModel, shown, tokenizer } from "./scripted-model.ts";

const hi: Message[] = [{ role: "user", content: "Hi" }];
const prompt = "<s><|im_start|> user\nHi<|im_end|> \n<|im_start|> assistant\n";

// biome-ignore lint/suspicious/noExplicitAny: what plain JavaScript may do
type Loose = any;

test("chat renders the messages, answers, and counts", async () => {
  const { model, native } = scriptedModel({ answers: ["Hello there!"] });
  const result = await model.chat(hi, { temperature: 0, seed: 5 });
  expect(shown(native.sequences[0]?.prefills[0] ?? [])).toBe(prompt);
  expect(result).toMatchObject({
    text: "Hello there!",
    tokens: Int32Array.from(answerTokens("Hello there!")),
    finishReason: "stop",
    seed: 5,
    usage: {
      prompt: prompt.length - "<s><|im_start|><|im_end|><|im_start|>".length + 4,
      cached: 0,
      completion: 13,
    },
    stats: { loadMs: 12, peakBytes: expect.any(Number) },
  });
  expect(result).not.toHaveProperty("thinking");
  expect(result).not.toHaveProperty("logprobs");
});

test("stats: rates count the prefill and the steps, and memory is this process's", async () => {
  const { model } = scriptedModel({ answers: ["Hello there!"] });
  const { stats } = await model.chat(hi);
  expect(stats.ttftMs).toBeGreaterThan(0);
  expect(stats.prefillTps).toBeGreaterThan(0);
  expect(stats.decodeTps).toBeGreaterThan(0);
  expect(stats.peakBytes).toBeGreaterThan(2 ** 24);
});

test("each chat has a sequence of its own, freed afterwards", async () => {
  const { model, native } = scriptedModel();
  await Promise.all([model.chat(hi), model.chat(hi)]);
  expect(native.sequences.map(({ disposed }) => disposed)).toEqual([true, true]);
  expect(native.sequences.map(({ capacity }) => capacity)).toEqual([500, 500]);
});

test("chat refuses what are no messages, through the generation", async () => {
  const { model, native } = scriptedModel();
  await expect(model.chat([])).rejects.toMatchObject({ code: "OPTION", option: "messages" });
  await expect(model.chat(hi, { topP: 7 })).rejects.toMatchObject({ option: "topP" });
  await expect(model.chat(hi, { stop: [""] })).rejects.toMatchObject({ option: "stop" });
  expect(native.sequences.every(({ disposed }) => disposed)).toBe(true);
});

test("what is neither text nor tokens is refused by name, whatever its type", async () => {
  const { model } = scriptedModel();
  const wrong = [undefined, null, 5, {}, [1, 2], new Float32Array(2)] as unknown as string[];
  for (const prompt of wrong) {
    await expect(model.complete(prompt)).rejects.toMatchObject({ code: "OPTION", option: "prompt" });
    await expect(model.embed(prompt)).rejects.toMatchObject({ code: "OPTION" });
  }
  const messages = [null] as unknown as Message[];
  await expect(model.chat(messages)).rejects.toMatchObject({ code: "OPTION", option: "messages[0]" });
  const stop = 5 as unknown as string[];
  await expect(model.complete("a", { stop })).rejects.toMatchObject({ code: "OPTION", option: "stop" });
});

test.each([
  ["chat(a text)", (model: Loose) => model.chat("x"), "messages"],
  ["chat(null)", (model: Loose) => model.chat(null), "messages"],
  ["chat's options", (model: Loose) => model.chat(hi, null), "options"],
  ["chat's signal", (model: Loose) => model.chat(hi, { signal: 5 }), "signal"],
  ["chat's tools", (model: Loose) => model.chat(hi, { tools: "f" }), "tools"],
  ["complete's options", (model: Loose) => model.complete("x", 5), "options"],
  ["embed's options", (model: Loose) => model.embed("x", null), "options"],
  ["read's messages", (model: Loose) => model.read("x"), "messages"],
  ["read's options", (model: Loose) => model.read(hi, null), "options"],
  ["loadSession's options", (model: Loose) => model.loadSession("x", null), "options"],
  ["createSession's options", async (model: Loose) => model.createSession(null), "options"],
  ["createSession's messages", async (model: Loose) => model.createSession({ messages: "x" }), "messages"],
  [
    "createSession's system",
    async (model: Loose) => model.createSession({ system: 5 }),
    "messages[0].content",
  ],
  ["createSession's tools", async (model: Loose) => model.createSession({ tools: {} }), "tools"],
  ["send's message", (model: Loose) => model.createSession().send(5), "messages[0]"],
  ["send's message", (model: Loose) => model.createSession().send(null), "messages[0]"],
  ["send's options", (model: Loose) => model.createSession().send("x", null), "options"],
])("a wrong JavaScript type in %s is an OptionError", async (_what, call, option) => {
  const { model } = scriptedModel();
  await expect(call(model as unknown as Loose)).rejects.toMatchObject({ code: "OPTION", option });
});

test("complete puts bos before a text, and goes on with its white space", async () => {
  const { model, native } = scriptedModel({ answers: [" upon a time"] });
  const { text } = await model.complete("Once");
  expect(text).toBe(" upon a time");
  expect(native.sequences[0]?.prefills).toEqual([[...tokenizer.encode("Once", { bos: true })]]);
  expect(native.sequences[0]?.prefills[0]?.[0]).toBe(1);
});

test("complete from bos alone begins a text, so that a space before it goes", async () => {
  const { model } = scriptedModel({ answers: [" Once"] });
  expect((await model.complete("")).text).toBe("Once");
});

test("complete takes tokens as they are, and does not see later changes to them", async () => {
  const { model, native } = scriptedModel();
  const tokens = Int32Array.of(50, 51, 52);
  const run = model.complete(tokens);
  tokens.fill(60);
  await run;
  expect(native.sequences[0]?.prefills).toEqual([[50, 51, 52]]);
});

test.each([[-1], [1_000_000]])("complete refuses the token %s", async (token) => {
  const { model } = scriptedModel();
  await expect(model.complete(Int32Array.of(1, token))).rejects.toMatchObject({
    code: "OPTION",
    option: "prompt",
  });
});

test("complete shows thoughts as text", async () => {
  const { model } = scriptedModel({ answers: ["<think>a</think>b"] });
  expect((await model.complete("x")).text).toBe("<think>a</think>b");
});

test("ignoreEos goes on to maxTokens", async () => {
  const { model } = scriptedModel({ answers: ["ab"] });
  const { text, finishReason, usage, tokens } = await model.complete("x", { ignoreEos: true, maxTokens: 6 });
  expect([text, finishReason, usage.completion, tokens.length]).toEqual(["ab...", "length", 6, 6]);
});

test("without maxTokens the model's own limit holds, as far as it fits", async () => {
  const long = scriptedModel({ endless: true, defaults: { maxTokens: 9 } });
  expect((await long.model.complete("x")).usage.completion).toBe(9);
  const short = scriptedModel({ endless: true, defaults: { maxTokens: 9 }, contextLength: 8 });
  expect((await short.model.complete(Int32Array.of(1, 50))).usage.completion).toBe(6);
  const full = short.model.complete(Int32Array.from({ length: 8 }, () => 50));
  await expect(full).rejects.toMatchObject({ code: "CONTEXT_OVERFLOW", needed: 9, capacity: 8 });
});

test("maxTokens that do not fit are refused with numbers", async () => {
  const { model, native } = scriptedModel({ contextLength: 20 });
  const run = model.complete(Int32Array.of(1, 50), { maxTokens: 19 });
  await expect(run).rejects.toMatchObject({ code: "CONTEXT_OVERFLOW", needed: 21, capacity: 20 });
  expect(native.sequences[0]?.prefills).toEqual([]);
});

test("a stop text ends text, tokens and usage where it begins, whatever the batch", async () => {
  for (const batch of [1, 3, 100]) {
    const { model } = scriptedModel({ answers: ["one\nUser: two"], batch });
    const { text, tokens, finishReason, usage } = await model.chat(hi, { stop: ["\nUser:"] });
    expect([text, finishReason, usage.completion]).toEqual(["one", "stop", 3]);
    expect([...tokens]).toEqual(answerTokens("one"));
  }
});

test("log-probabilities come with each token when asked for", async () => {
  const { model } = scriptedModel({ answers: ["ab"], batch: 2 });
  const { logprobs } = await model.complete("x", { logprobs: 2 });
  const top = [
    { token: 0, logprob: -0 },
    { token: 1, logprob: -1 },
  ];
  expect(logprobs).toEqual(answerTokens("ab").map((token) => ({ token, logprob: -token, top })));
  expect((await model.complete("x", { logprobs: 0 })).logprobs?.[0]?.top).toEqual([]);
});

test("the seed that was used is told, and a bigint only where it must be one", async () => {
  const { model } = scriptedModel();
  expect((await model.complete("x", { seed: 2n ** 60n })).seed).toBe(2n ** 60n);
  expect((await model.complete("x", { seed: 12n })).seed).toBe(12);
  expect((await model.complete("x")).seed).toBeTypeOf("number");
});

test("an aborted chat has what was made so far in its error", async () => {
  const { model, native } = scriptedModel({ answers: ["abc"], endless: true });
  const stop = new AbortController();
  const run = model.chat(hi, { signal: stop.signal });
  let seen = "";
  const reading = (async () => {
    for await (const text of run) {
      seen += text;
      if (seen.length >= 3) stop.abort();
    }
  })();
  await expect(reading).rejects.toBeInstanceOf(AbortError);
  await expect(run).rejects.toMatchObject({
    partial: { text: expect.stringMatching(/^abc\.*$/), finishReason: "aborted", usage: { cached: 0 } },
  });
  expect(native.sequences[0]?.disposed).toBe(true);
});

test("an aborted chat's text has what a stop text still held back", async () => {
  const { model } = scriptedModel({ answers: ["abcd"], endless: true, batch: 4 });
  const run = model.chat(hi, { stop: ["cd!"] });
  for await (const text of run) if (text === "ab") break;
  await expect(run).rejects.toMatchObject({ partial: { text: "abcd" } });
});

test("close aborts what runs, closes sessions and frees the model, once", async () => {
  const { model, native } = scriptedModel({ endless: true, contextLength: 100_000 });
  const dispose = vi.spyOn(native, "dispose");
  const session = model.createSession();
  const runs = [model.chat(hi), session.send("Hi")];
  await Promise.all([model.close(), model.close()]);
  for (const run of runs) await expect(run).rejects.toMatchObject({ name: "AbortError" });
  await session.close();
  expect(dispose).toHaveBeenCalledTimes(1);
  expect(native.sequences.every(({ disposed }) => disposed)).toBe(true);
});

test("a closed model refuses everything", async () => {
  const { model } = scriptedModel();
  await model.close();
  await expect(model.chat(hi)).rejects.toMatchObject({ code: "STATE" });
  expect(() => model.createSession()).toThrowError(expect.objectContaining({ code: "STATE" }));
});

test.each([0, 501, 2.5])("a session of %s tokens is refused", (contextLength) => {
  const { model } = scriptedModel();
  expect(() => model.createSession({ contextLength })).toThrowError(
    expect.objectContaining({ option: "contextLength" }),
  );
});

test("a session that cannot be made leaves no sequence behind", () => {
  const { model, native } = scriptedModel();
  const messages = [{ role: "nobody", content: "" }] as unknown as Message[];
  expect(() => model.createSession({ messages })).toThrow(/messages\[0\].role/);
  expect(native.sequences[0]?.disposed).toBe(true);
});
