import { expect, test } from "vitest";
import { fullContextAdvice, turnCount, turnsToDrop } from "../../src/cli/context-room.ts";
import { ContextOverflowError, type Message, type Session } from "../../src/index.ts";

function session(contextUsed: number, ...turns: [user: number, assistant: number][]): Session {
  const messages: Message[] = [{ role: "system", content: "s" }];
  for (const [user, assistant] of turns) {
    messages.push({ role: "user", content: "u".repeat(user) });
    messages.push({ role: "assistant", content: "a".repeat(assistant) });
  }
  return { messages, contextUsed, contextLength: 100 } as unknown as Session;
}

test("a turn is a user message with what follows it", () => {
  expect(turnCount(session(0, [1, 1], [1, 1]).messages)).toBe(2);
});

test("the fewest oldest turns that make room are offered", () => {
  const conversation = session(100, [49, 50], [50, 50], [50, 50]); // a third of a token a character
  expect(turnsToDrop(conversation, 20)).toBe(1);
  expect(turnsToDrop(conversation, 40)).toBe(2);
  expect(turnsToDrop(conversation, 1000)).toBe(3);
});

test("advice has the numbers and the command", () => {
  const advice = fullContextAdvice(new ContextOverflowError(110, 100), session(90, [50, 50], [50, 50]));
  expect(advice).toMatch(/110 tokens do not fit 100.*\/drop 1 forgets the oldest turn of 2.*\/retry/);
});

test("a first message that is too long cannot be helped by dropping", () => {
  expect(fullContextAdvice(new ContextOverflowError(110, 100), session(0))).toMatch(/shorten it/);
});
