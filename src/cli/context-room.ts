/** A full context: how many of the oldest turns to offer for forgetting. */
import type { ContextOverflowError, Message, Session } from "../index.ts";
import { plural } from "./quantities.ts";

/** Part of the context that should be free for the message and its answer after turns are dropped. */
const roomShare = 0.25;

/** User messages, each with what follows it. */
export function turnCount(messages: readonly Message[]): number {
  return messages.filter(({ role }) => role === "user").length;
}

/** "3 turns". */
export function messageCount(messages: readonly Message[]): string {
  return plural(turnCount(messages), "turn");
}

/** "the oldest turn", "the 3 oldest turns". */
export function oldestTurns(count: number): string {
  return count === 1 ? "the oldest turn" : `the ${count} oldest turns`;
}

/** What to do about a message that did not fit, as a sentence with numbers. */
export function fullContextAdvice(error: ContextOverflowError, session: Session): string {
  const turns = turnCount(session.messages);
  const full = `The context is full: ${error.needed} tokens do not fit ${error.capacity}.`;
  if (turns === 0)
    return `${full} This message alone is too long: shorten it, or start with a larger --context-length.`;
  const count = turnsToDrop(session, error.needed - error.capacity + roomShare * error.capacity);
  return `${full} /drop ${count} forgets ${oldestTurns(count)} of ${turns}, then /retry asks again.`;
}

/** The fewest oldest turns that free about `tokens`, by their share of the conversation's text; at least 1. */
export function turnsToDrop({ messages, contextUsed }: Session, tokens: number): number {
  const sizes: number[] = []; // characters by turn
  let all = 0;
  for (const { role, content } of messages) {
    all += content.length;
    if (role === "user") sizes.push(0);
    if (role !== "system" && sizes.length > 0) sizes.push((sizes.pop() ?? 0) + content.length);
  }
  const tokensPerCharacter = contextUsed / Math.max(1, all);
  let freed = 0;
  let count = 0;
  while (count < sizes.length && (count === 0 || freed < tokens)) {
    freed += (sizes[count] ?? 0) * tokensPerCharacter;
    count++;
  }
  return count;
}
