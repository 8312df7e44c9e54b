/** Puts items to a model, many at once: its step loop answers them together. */
import { Reply } from "../../src/chat/reply.ts";
import { ChatTemplate } from "../../src/chat/template.ts";
import { Transcript } from "../../src/chat/transcript.ts";
import { ContextOverflowError, type Model, UnsupportedError } from "../../src/index.ts";
import { openModel } from "../../src/model/load.ts";
import type { EvalItem } from "./items.ts";
import type { Answer } from "./rules.ts";

export interface AskOptions {
  /** Items that are answered at once. */
  readonly sessions: number;
  /**
   * How earlier answers of a conversation become tokens: `text`, as the tokenizer reads the whole prompt, or `apart`, each
   * as a text of its own, as a model that was trained so writes them.
   */
  readonly history: "text" | "apart";
  /** Most tokens of an answer. */
  readonly maxTokens: (item: EvalItem, expected: Int32Array) => number;
  readonly onAnswer?: (done: number) => void;
}

export interface Asked {
  readonly item: EvalItem;
  /** Why there is no answer: the prompt does not fit, or the chat template knows no tools. */
  readonly leftOut?: string;
  readonly answer: Answer;
  readonly expected: Answer;
}

/** Greedy answers to all items, in their order. */
export async function ask(model: Model, items: readonly EvalItem[], options: AskOptions): Promise<Asked[]> {
  const { chatTemplate: source, templateTokens: tokens } = openModel(model.info.path);
  const template = new ChatTemplate(model.tokenizer, { source, file: model.info.path, tokens });
  const asked: Asked[] = [];
  let next = 0;
  let done = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      asked[index] = await askOne(model, template, items[index] as EvalItem, options);
      options.onAnswer?.(++done);
    }
  };
  await Promise.all(Array.from({ length: options.sessions }, worker));
  return asked;
}

async function askOne(
  model: Model,
  template: ChatTemplate,
  item: EvalItem,
  { history, maxTokens }: AskOptions,
): Promise<Asked> {
  const wanted = model.tokenizer.encode(item.expected);
  const expected = readAnswer(model, wanted);
  try {
    const transcript = history === "apart" ? apart(model, template, item) : undefined;
    const render = { addGenerationPrompt: true, tools: item.tools };
    const { tokens: prompt, openedThought } = template.encode(item.messages, render, transcript);
    const most = maxTokens(item, wanted);
    const { tokens } = await model.complete(prompt, {
      temperature: 0,
      repetitionPenalty: 1,
      maxTokens: most,
    });
    return { item, answer: readAnswer(model, tokens, openedThought), expected };
  } catch (error) {
    if (!(error instanceof ContextOverflowError || error instanceof UnsupportedError)) throw error;
    return { item, leftOut: error.message, answer: readAnswer(model, new Int32Array()), expected };
  }
}

/**
 * Whether the model begins an answer as a text of its own, with a space, so that the answers a session holds are encoded
 * apart from their prompts. Asked with the first item that has no earlier answer.
 */
export async function beginsApart(model: Model, items: readonly EvalItem[]): Promise<boolean> {
  const item = items.find(({ messages }) => messages.every(({ role }) => role !== "assistant"));
  if (!item) return false;
  const { tokens } = await model.chat(item.messages, { temperature: 0, maxTokens: 1 });
  return model.tokenizer.decode(tokens, { continued: true }).startsWith(" ");
}

/** A transcript whose answers are encoded each by itself. */
function apart({ tokenizer }: Model, template: ChatTemplate, { messages, tools }: EvalItem): Transcript {
  const transcript = new Transcript(tokenizer);
  for (const [index, { role, content }] of messages.entries()) {
    if (role !== "assistant") continue;
    const render = { addGenerationPrompt: true, tools };
    const prompt = template.encode(messages.slice(0, index), render, transcript);
    transcript.add(prompt, { text: content, tokens: tokenizer.encode(content) });
  }
  return transcript;
}

function readAnswer({ tokenizer }: Model, tokens: Int32Array, openedThought?: string): Answer {
  const decoder = () => tokenizer.decodeStream();
  const reply = new Reply({ decoder, stopTokens: new Set(), stop: [], openedThought });
  reply.push({ tokens });
  reply.end();
  return {
    raw: tokenizer.decode(tokens, { special: true, continued: true }).replace(/^ +/, ""),
    text: reply.text,
    calls: reply.calls,
    malformed: reply.malformedCalls.length,
  };
}
