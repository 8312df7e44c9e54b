import { OptionError } from "../errors.ts";

/** One turn of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  /** Plain text: special tokens spelled in it (`<|im_end|>`) stay text. */
  readonly content: string;
  /** What the model thought before it answered. Templates leave it out of later turns. */
  readonly thinking?: string;
}

const roles: readonly unknown[] = ["system", "user", "assistant"];

/** @throws OptionError naming the message that is none. */
export function checkMessages(messages: readonly Message[]): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new OptionError("messages", "a list with at least one message", messages);
  }
  for (const [index, message] of messages.entries()) {
    if (typeof message !== "object" || message === null) {
      throw new OptionError(`messages[${index}]`, "a message with role and content", message);
    }
    const { role, content, thinking = "" } = message as Partial<Message>;
    if (!roles.includes(role)) {
      throw new OptionError(`messages[${index}].role`, '"system", "user" or "assistant"', role);
    }
    for (const [field, text] of Object.entries({ content, thinking })) {
      if (typeof text !== "string") throw new OptionError(`messages[${index}].${field}`, "a text", text);
    }
  }
}
