/** A Model whose answers are written down as text: the tiny model's tokenizer on a scripted native model. */
import type { Voice } from "../../src/chat/answer.ts";
import { LocalModel } from "../../src/chat/local-model.ts";
import { withTokenizer } from "../../src/chat/model-memory.ts";
import { ChatTemplate } from "../../src/chat/template.ts";
import { openModel } from "../../src/model/load.ts";
import { type Script, ScriptedModel } from "../engine/scripted.ts";

export interface TextScript extends Omit<Script, "answers"> {
  /** One answer a prefill; the last serves all that follow. Each ends with <|im_end|> unless `endless`. */
  readonly answers?: readonly string[];
  /** Answers never end: dots follow. */
  readonly endless?: boolean;
  /** The chat template. Default: ChatML. */
  readonly template?: string;
  readonly defaults?: Voice["defaults"];
  readonly contextLength?: number;
}

const opened = openModel("tiny");
export const { tokenizer } = opened;
const imEnd = 4;
const dot = tokenizer.encode(".").at(-1) ?? 0;

/** The piece of each byte that is one. */
const pieces = new Map<number, number>();
for (let token = tokenizer.vocabSize - 1; token >= 5 + 256; token--) {
  const [byte, ...more] = tokenizer.isSpecial(token) ? [] : tokenizer.idToBytes(token);
  if (byte !== undefined && more.length === 0) pieces.set(byte, token);
}

/** A token for each byte of an answer, as the tiny model would write it. */
export function answerTokens(text: string): number[] {
  return [...Buffer.from(text, "utf8")].map((byte) => pieces.get(byte) ?? 5 + byte);
}

export function scriptedModel({
  answers = ["Hello!"],
  endless,
  template,
  defaults,
  contextLength = 500,
  ...script
}: TextScript = {}) {
  const native = new ScriptedModel({
    ...script,
    filler: dot,
    answers: answers.map((text) => [...answerTokens(text), ...(endless ? [] : [imEnd])]),
  });
  const chatTemplate = new ChatTemplate(tokenizer, { source: template, file: "test", tokens: {} });
  const { stopTokens, config } = opened;
  const model = new LocalModel({
    native,
    tokenizer,
    template: chatTemplate,
    voice: { tokenizer, vocabSize: config.vocabSize, stopTokens, defaults: defaults ?? {}, loadMs: 12 },
    info: {
      name: "scripted",
      path: "test",
      architecture: config.architecture,
      config,
      device: native.device,
      isa: native.isa,
      threads: native.threads,
      pack: undefined,
      activations: "f32",
      kvType: "f32",
      sparse: "none",
      rope: "native",
      contextLength,
      maxContextLength: config.maxContext,
      contextReason: "It is written down.",
      memory: withTokenizer(
        native.memoryPlan({ capacity: contextLength, sequences: 1 }),
        tokenizer.vocabSize,
      ),
      hasThinking: chatTemplate.hasThinking,
      hasTools: chatTemplate.hasTools,
      loadMs: 12,
      notices: [],
    },
  });
  return { model, native };
}

/** Tokens as text, special ones shown. */
export function shown(tokens: Iterable<number>): string {
  return tokenizer.decode(tokens, { special: true, continued: true });
}
