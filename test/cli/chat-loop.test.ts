import { expect, test } from "vitest";
import { ContextOverflowError } from "../../src/index.ts";
import { chatOver } from "./scripted-chat.ts";

test("each message is answered on stdout, numbers go to stderr", async () => {
  const { exitCode, out, err } = await chatOver(["hi", "你好"], ["Hello!", "你好!"]);
  expect(exitCode).toBe(0);
  expect(out).toBe("Hello!\n你好!\n");
  expect(err).toContain("ctx 8/100 · 41 tok/s");
});

test("a long prompt shows the context used and how much is read, until the answer begins", async () => {
  const { err } = await chatOver(["hi"], ["Hello!"]);
  expect(err).toMatch(/\r.{3}ctx \d+\/100 · prefill 40 % of 10 tokens\r/);
});

test("numbers below the answer are for terminals only", async () => {
  const { err } = await chatOver(["hi"], ["Hello!"], { interactive: false });
  expect(err).toBe("");
});

test("json gives every event as a line, tokens as arrays", async () => {
  const { out } = await chatOver(["hi"], ["Yo"], { json: true, interactive: false });
  const events = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events.map(({ type }) => type)).toEqual(["prefill", "prefill", "text", "finish"]);
  expect(events[3].result.tokens).toEqual([0, 0]);
});

test("/set changes what the next answers are made with, and tells what it cannot take", async () => {
  const { session, err } = await chatOver(
    ["/set temperature 0.5", "/set top-k 7", "/set topP 3", "/set wrong 1", "hi", "/set topK default", "hi"],
    ["a", "b"],
  );
  expect(session.sent[0]).toMatchObject({ temperature: 0.5, topK: 7 });
  expect(session.sent[1]?.topK).toBeUndefined();
  expect(err).toMatch(/topP must be a number from 0 to 1, not "3"/);
  expect(err).toMatch(/no setting wrong/);
});

test("/system sets, shows and removes the instructions", async () => {
  const { session, err } = await chatOver(["/system Be brief.", "/system", "hi", '/system ""'], ["a"]);
  expect(err).toMatch(/Be brief\./);
  expect(session.messages.some(({ role }) => role === "system")).toBe(false);
});

test("/undo forgets the last turn, /clear all but the instructions", async () => {
  const undone = await chatOver(["one", "two", "/undo"], ["a", "b"]);
  expect(undone.session.messages.map(({ content }) => content)).toEqual(["one", "a"]);
  expect(undone.err).toContain("Forgotten: two");
  const cleared = await chatOver(["/system s", "one", "/clear"], ["a"]);
  expect(cleared.session.messages).toEqual([{ role: "system", content: "s" }]);
});

test("/retry replaces the last answer", async () => {
  const { session } = await chatOver(["one", "/retry"], ["a", "b"]);
  expect(session.messages.map(({ content }) => content)).toEqual(["one", "b"]);
});

test("/retry after a failure asks the failed message and keeps the turns before", async () => {
  const { session, err } = await chatOver(["one", "two", "/retry"], ["a", new Error("broken"), "b"]);
  expect(err).toContain("error: broken");
  expect(session.messages.map(({ content }) => content)).toEqual(["one", "a", "two", "b"]);
});

test("a full context offers /drop N, which forgets the oldest turns", async () => {
  const full = new ContextOverflowError(120, 100);
  const { session, err } = await chatOver(
    ["x".repeat(40), "y".repeat(40), "big", "/drop 9", "/drop 1", "/retry"],
    ["a", "b", full, "c"],
  );
  expect(err).toMatch(/120 tokens do not fit 100\. \/drop 2 forgets the 2 oldest turns of 2/);
  expect(err).toMatch(/from 1 to 2/);
  expect(session.messages.map(({ content }) => content)).toEqual(["y".repeat(40), "b", "big", "c"]);
});

test("Ctrl-C stops the answer and the chat goes on", async () => {
  const { exitCode, err, out } = await chatOver(["long", "again"], [{ never: true }, "done"]);
  expect(exitCode).toBe(0);
  expect(err).toContain("Stopped.");
  expect(out).toBe("done\n");
});

test("Ctrl-C twice at an empty prompt leaves with 130, a line in between does not", async () => {
  const interrupt = { type: "interrupt", empty: true } as const;
  expect((await chatOver([interrupt, interrupt, "hi"], [])).exitCode).toBe(130);
  expect((await chatOver([interrupt, "hi", interrupt], ["a"])).exitCode).toBe(0);
  expect((await chatOver([interrupt, { type: "interrupt", empty: false }, interrupt], [])).exitCode).toBe(0);
});

test("Ctrl-C during an answer and again at the prompt leaves", async () => {
  const interrupt = { type: "interrupt", empty: true } as const;
  expect((await chatOver(["long", interrupt, "hi"], [{ never: true }])).exitCode).toBe(130);
});

test("/bye leaves with 0 and asks nothing more", async () => {
  const { exitCode, session } = await chatOver(["/bye", "hi"], []);
  expect(exitCode).toBe(0);
  expect(session.sent).toEqual([]);
});

test("/help lists every command, an unknown one is told", async () => {
  const { err } = await chatOver(["/help", "/what"], []);
  for (const name of ["system", "set", "clear", "undo", "retry", "drop", "stats", "bye"]) {
    expect(err).toContain(`/${name}`);
  }
  expect(err).toContain("There is no /what.");
});

test("/stats tells the last answer's numbers, the context and the memory", async () => {
  const { err } = await chatOver(["hi", "/stats"], ["Hello!"]);
  expect(err).toMatch(/prompt 10 tokens \(4 cached\).*decode 41 tok\/s/);
  expect(err).toMatch(/1 turn/);
  expect(err).toMatch(/memory 15 B: weights 3 B, KV 3 B, activations 4 B, tokenizer 5 B/);
});

test("without somebody to type, the first error ends the chat", async () => {
  await expect(chatOver(["one", "two"], [new Error("broken")], { interactive: false })).rejects.toThrow(
    "broken",
  );
});
