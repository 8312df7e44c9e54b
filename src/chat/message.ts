/** One turn of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  /** Plain text: special tokens spelled in it (`<|im_end|>`) stay text. */
  readonly content: string;
  /** What the model thought before it answered. Templates leave it out of later turns. */
  readonly thinking?: string;
}
