import { OptionError } from "../errors.ts";
import { checkCalls, type ToolCall } from "../tools/tool.ts";

/** One turn of a conversation. */
export interface Message {
  /** `tool`: what a call gave. */
  readonly role: "system" | "user" | "assistant" | "tool";
  /** Plain text: special tokens spelled in it (`<|im_end|>`) stay text. */
  readonly content: string;
  /** What the model thought before it answered. Templates leave it out of later turns. */
  readonly thinking?: string | undefined;
  /** What an assistant called. A message of role `tool` for each, in their order, follows. */
  readonly calls?: readonly ToolCall[] | undefined;
  /** Of a message of role `tool`: its call's `id`, where that has one. */
  readonly callId?: string | undefined;
}

const roles: readonly unknown[] = ["system", "user", "assistant", "tool"];

/** @throws OptionError naming the message that is none. */
export function checkMessages(messages: readonly Message[]): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new OptionError("messages", "a list with at least one message", messages);
  }
  for (const [index, message] of messages.entries()) {
    if (typeof message !== "object" || message === null) {
      throw new OptionError(`messages[${index}]`, "a message with role and content", message);
    }
    const { role, content, thinking = "", calls, callId = "" } = message as Partial<Message>;
    if (!roles.includes(role)) {
      throw new OptionError(`messages[${index}].role`, '"system", "user", "assistant" or "tool"', role);
    }
    for (const [field, text] of Object.entries({ content, thinking, callId })) {
      if (typeof text !== "string") throw new OptionError(`messages[${index}].${field}`, "a text", text);
    }
    if (calls === undefined) continue;
    if (role !== "assistant") throw new OptionError(`messages[${index}].calls`, "an assistant's", calls);
    checkCalls(calls, `messages[${index}].calls`);
  }
}
