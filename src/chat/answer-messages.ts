import type { Sequence } from "../engine/sequence.ts";
import type { ToolDefinition } from "../tools/tool.ts";
import { answer, type Voice } from "./answer.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { GenerationEvent } from "./generation.ts";
import type { Message } from "./message.ts";
import type { Result } from "./result.ts";
import type { ChatTemplate, Prompt } from "./template.ts";
import { cutToTokens, offeredTools, resultTokens } from "./tool-budget.ts";
import { answerWithTools } from "./tool-loop.ts";
import type { ToolChoice } from "./tool-use.ts";
import type { Transcript } from "./transcript.ts";

/** Who answers, and where it is held. */
export interface Speaker {
  readonly voice: Voice;
  readonly template: ChatTemplate;
  /** Tokens that fit. */
  readonly capacity: number;
  /** Holds what was said; gets what is said. */
  readonly transcript: Transcript;
  /** The sequence that runs the prompts; told the first of them. */
  readonly sequence: (first: Prompt) => Sequence | Promise<Sequence>;
}

export interface Asked {
  readonly messages: readonly Message[];
  /** What there is to call; what of it the model is told of is chosen here. */
  readonly tools: readonly ToolDefinition[];
  readonly options: GenerateOptions;
}

/** Answers messages, calls and all. @returns the messages with everything that was said, and the last answer. */
export async function answerMessages(
  { voice, template, capacity, transcript, sequence: sequenceFor }: Speaker,
  { messages, tools: all, options }: Asked,
  emit: (event: GenerationEvent) => void,
  signal: AbortSignal,
): Promise<{ readonly messages: readonly Message[]; readonly result: Result }> {
  const { tokenizer } = voice;
  const { callFormat } = template;
  const tools = offeredTools(all, messages, options, capacity, tokenizer);
  let sequence: Sequence | undefined;

  const step = async (told: readonly Message[], toolChoice: ToolChoice | undefined): Promise<Result> => {
    const render = { addGenerationPrompt: true, thinking: options.thinking, tools };
    const prompt = template.encode(told, render, transcript);
    sequence ??= await sequenceFor(prompt);
    const { tokens, openedThought } = prompt;
    const question = {
      prompt: tokens,
      openedThought,
      canThink: template.hasThinking,
      calls: callFormat,
      tools,
      options: { ...options, toolChoice },
    };
    const result = await answer(voice, sequence, question, emit, signal);
    // Forgotten by the next prompt where the template writes the answer in other words: thoughts are left out.
    transcript.add(prompt, { text: tokenizer.decode(result.tokens), tokens: result.tokens });
    return result;
  };

  const cut = (text: string, count: number): string => {
    const room = capacity - (sequence?.length ?? 0);
    return cutToTokens(text, resultTokens(options, capacity, room, count), tokenizer);
  };
  return answerWithTools({
    messages,
    tools,
    format: callFormat,
    use: options,
    answer: step,
    cut,
    emit,
    signal,
  });
}
