import { expect, test } from "vitest";
import type { Generation } from "../../src/chat/generation.ts";
import type { Message } from "../../src/chat/message.ts";
import { answerTokens, scriptedModel, shown, tokenizer } from "./scripted-model.ts";

const conversation: readonly Message[] = [
  { role: "user", content: "1" },
  { role: "assistant", content: "one" },
  { role: "user", content: "2" },
  { role: "assistant", content: "two" },
  { role: "user", content: "3" },
  { role: "assistant", content: "three" },
];

/** Aborts a run after its first text. */
async function stopEarly(run: Generation): Promise<void> {
  for await (const _ of run) break;
  await expect(run).rejects.toMatchObject({ name: "AbortError" });
}

test("a session remembers what was said", async () => {
  const { model } = scriptedModel({ answers: ["Hello!", "Bye!"] });
  const session = model.createSession({ system: "Be brief." });
  await session.send("Hi");
  await session.send({ role: "user", content: "Bye" });
  expect(session.messages).toEqual([
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello!" },
    { role: "user", content: "Bye" },
    { role: "assistant", content: "Bye!" },
  ]);
});

test("the next turn runs only what is new, whatever tokens the answer was made of", async () => {
  const { model, native } = scriptedModel(); // answers byte by byte, as no tokenizer would write them
  const session = model.createSession();
  const first = await session.send("Hi");
  const { usage } = await session.send("Again");
  const newText = "<|im_end|>\n<|im_start|>user\nAgain<|im_end|>\n<|im_start|>assistant\n";
  const newTokens = tokenizer.encode(newText, { special: true });
  expect(usage.prompt).toBe(first.usage.prompt + first.tokens.length + newTokens.length);
  expect(usage.cached).toBe(usage.prompt - newTokens.length);
  expect(native.sequences[0]?.prefills[1]).toEqual([...newTokens]);
});

test("after an undo the conversation goes on from the turn before, a fork from all of it", async () => {
  const { model, native } = scriptedModel();
  const session = model.createSession();
  await session.send("1");
  const { usage } = await session.send("2");
  session.undo();
  const again = await session.send("3");
  expect(again.usage.prompt).toBe(usage.prompt);
  expect(native.sequences[0]?.tokens().slice(0, again.usage.cached)).toHaveLength(again.usage.cached);
  const fork = session.fork();
  const [forked, stayed] = [await fork.send("4"), await session.send("4")];
  expect(forked.usage).toEqual(stayed.usage);
});

test("a conversation that was not made here is encoded as the tokenizer writes it", async () => {
  const { model, native } = scriptedModel();
  const said: Message[] = [
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello!" },
  ];
  const session = model.createSession({ messages: said });
  await session.send("Bye");
  await model.chat([...said, { role: "user", content: "Bye" }]);
  const [inSession, alone] = native.sequences;
  expect(inSession?.prefills[0]).toEqual(alone?.prefills[0]);
});

test("sends made at once are answered one after the other", async () => {
  const { model } = scriptedModel({ answers: ["one", "two", "three"] });
  const session = model.createSession();
  const results = await Promise.all([session.send("1"), session.send("2"), session.send("3")]);
  expect(results.map(({ text }) => text)).toEqual(["one", "two", "three"]);
  expect(session.messages).toEqual(conversation);
});

test("an aborted send leaves no trace, and the session answers the next one", async () => {
  const { model } = scriptedModel({ answers: ["one", "very long indeed", "two"] });
  const session = model.createSession();
  await session.send("1");
  await stopEarly(session.send("?"));
  expect(session.messages).toEqual(conversation.slice(0, 2));
  await session.send("2");
  expect(session.messages).toEqual(conversation.slice(0, 4));
});

test("a send aborted while it waits does not disturb the one that runs", async () => {
  const { model } = scriptedModel({ answers: ["one", "two"] });
  const session = model.createSession();
  const stop = new AbortController();
  const first = session.send("1");
  const second = session.send("?", { signal: stop.signal });
  const third = session.send("2");
  stop.abort();
  await expect(second).rejects.toMatchObject({ name: "AbortError" });
  await Promise.all([first, third]);
  expect(session.messages).toEqual(conversation.slice(0, 4));
});

test("a failed send leaves no trace, and the session answers the next one", async () => {
  const { model, native } = scriptedModel({ answers: ["one"] });
  const session = model.createSession();
  Object.assign(native.script, { failAfter: 2 });
  await expect(session.send("?")).rejects.toMatchObject({ code: "STATE" });
  Object.assign(native.script, { failAfter: undefined });
  await session.send("1");
  expect(session.messages).toEqual(conversation.slice(0, 2));
});

test("a conversation that does not fit is refused with numbers, and dropping the oldest makes room", async () => {
  const { model } = scriptedModel({ answers: ["ok"], contextLength: 120 });
  const session = model.createSession({ messages: conversation });
  const asked = session.send("x".repeat(30));
  await expect(asked).rejects.toMatchObject({
    code: "CONTEXT_OVERFLOW",
    capacity: 120,
    needed: expect.any(Number),
  });
  expect(session.messages).toEqual(conversation);
  expect(session.dropOldest(2)).toEqual(conversation.slice(0, 4));
  expect((await session.send("x".repeat(30))).text).toBe("ok");
});

test("undo gives back the last message and its answer; asked again, the answer before it is kept", async () => {
  const { model, native } = scriptedModel({ answers: ["one", "two", "two"] });
  const session = model.createSession();
  await session.send("1");
  await session.send("2");
  expect(session.undo()).toEqual(conversation.slice(2, 4));
  expect(session.messages).toEqual(conversation.slice(0, 2));
  const { usage } = await session.send("2");
  expect(usage.cached).toBe(usage.prompt - 1);
  expect(native.sequences[0]?.prefills[2]).toHaveLength(1);
});

test("undo of nothing gives nothing, and keeps the system message", () => {
  const session = scriptedModel().model.createSession({ system: "Be brief." });
  expect(session.undo()).toEqual([]);
  expect(session.messages).toHaveLength(1);
});

test("dropOldest drops turns after the system message", () => {
  const session = scriptedModel().model.createSession({ system: "Be brief.", messages: conversation });
  expect(session.dropOldest(1)).toEqual(conversation.slice(0, 2));
  expect(session.dropOldest(9)).toEqual(conversation.slice(2));
  expect(session.messages).toEqual([{ role: "system", content: "Be brief." }]);
  expect(session.dropOldest(1)).toEqual([]);
});

test.each([0, -1, 1.5])("dropOldest(%s) is refused", (turns) => {
  const session = scriptedModel().model.createSession({ messages: conversation });
  expect(() => session.dropOldest(turns)).toThrowError(expect.objectContaining({ option: "turns" }));
});

test("setSystem replaces, adds and removes; reset keeps it", () => {
  const session = scriptedModel().model.createSession({ messages: conversation });
  session.setSystem("A");
  session.setSystem("B");
  expect(session.messages).toEqual([{ role: "system", content: "B" }, ...conversation]);
  session.reset();
  expect(session.messages).toEqual([{ role: "system", content: "B" }]);
  session.setSystem(undefined);
  expect(session.messages).toEqual([]);
});

test("a system text beside a system message is refused", () => {
  const { model } = scriptedModel();
  const messages: Message[] = [{ role: "system", content: "A" }];
  expect(() => model.createSession({ system: "B", messages })).toThrowError(
    expect.objectContaining({ option: "system" }),
  );
});

test("the conversation cannot be changed while a send runs", async () => {
  const session = scriptedModel().model.createSession({ messages: conversation });
  const run = session.send("4");
  for (const change of [
    () => session.undo(),
    () => session.reset(),
    () => session.dropOldest(1),
    () => session.setSystem("A"),
  ]) {
    expect(change).toThrowError(expect.objectContaining({ code: "STATE" }));
  }
  await run;
  session.reset();
});

test("contextUsed is what the conversation takes: counted, held during a run, and counted again after undo", async () => {
  const { model, native } = scriptedModel({ answers: ["one", "two"] });
  const session = model.createSession({ contextLength: 300 });
  expect([session.contextUsed, session.contextLength]).toEqual([0, 300]);
  await session.send("1");
  const afterOne = session.contextUsed;
  expect(afterOne).toBe(native.sequences[0]?.length);
  const run = session.send("2");
  for await (const event of run.events()) {
    if (event.type === "text") expect(session.contextUsed).toBe(native.sequences[0]?.length);
  }
  expect(session.contextUsed).toBeGreaterThan(afterOne + 20);
  session.undo();
  expect(Math.abs(session.contextUsed - afterOne)).toBeLessThan(5);
  session.reset();
  expect(session.contextUsed).toBe(0);
});

test("after a stop text the sequence holds nothing beyond it", async () => {
  const { model, native } = scriptedModel({ answers: ["one. two"], batch: 8 });
  const session = model.createSession();
  const { usage } = await session.send("1", { stop: ["."] });
  const tokens = native.sequences[0]?.tokens() ?? [];
  expect(shown([...tokens].slice(usage.prompt))).toBe("one");
});

const thinkingTemplate =
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is not false %}<think>\n{% endif %}{% endif %}";

test("thoughts are events and a field of their own, remembered, and left out of later prompts", async () => {
  const { model, native } = scriptedModel({
    template: thinkingTemplate,
    answers: ["\nEasy.\n</think>\n\nFour.", "Six."],
  });
  const session = model.createSession();
  const run = session.send("2+2?");
  const types = new Set<string>();
  for await (const event of run.events()) types.add(event.type);
  expect([...types]).toEqual(["prefill", "thinking", "text", "finish"]);
  expect(await run).toMatchObject({ text: "Four.", thinking: "Easy." });
  expect(session.messages[1]).toEqual({ role: "assistant", content: "Four.", thinking: "Easy." });

  const { text, thinking } = await session.send("3+3?", { thinking: false });
  expect([text, thinking]).toEqual(["Six.", undefined]);
  const held = shown(native.sequences[0]?.tokens() ?? []);
  expect(held).toContain("Four.");
  expect(held).not.toContain("Easy.");
});

test("a closed session refuses to answer and to change", async () => {
  const { model, native } = scriptedModel();
  const session = model.createSession();
  const run = session.send("1");
  await session.close();
  await session.close();
  await expect(run).rejects.toMatchObject({ name: "AbortError" });
  await expect(session.send("2")).rejects.toMatchObject({ code: "STATE" });
  expect(() => session.undo()).toThrowError(expect.objectContaining({ code: "STATE" }));
  expect(native.sequences[0]?.disposed).toBe(true);
});

test("tokens of the answer are the sequence's, so that an answer is cached as it was made", async () => {
  const { model, native } = scriptedModel({ answers: ["one"] });
  const session = model.createSession();
  const { usage, tokens } = await session.send("1");
  expect([...tokens]).toEqual(answerTokens("one"));
  expect([...(native.sequences[0]?.tokens() ?? [])].slice(usage.prompt)).toEqual(answerTokens("one"));
});

test("messages are a copy, and so is what was given", async () => {
  const given = { role: "user", content: "1" } as { role: "user"; content: string };
  const session = scriptedModel().model.createSession({ messages: [given] });
  given.content = "changed";
  (session.messages as Message[]).pop();
  (session.messages[0] as typeof given).content = "changed";
  expect(session.messages).toEqual([{ role: "user", content: "1" }]);
});
