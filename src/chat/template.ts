import { Template } from "@huggingface/jinja";
import { CheckpointError, TemplateError } from "../errors.ts";
import type { TemplatePiece, Tokenizer } from "../model/tokenizer.ts";
import { chatMl } from "./chat-ml.ts";
import { TextGuard } from "./guarded-text.ts";
import { checkMessages, type Message } from "./message.ts";
import { thinkStart } from "./thinking.ts";
import { Transcript } from "./transcript.ts";

export interface ChatTemplateOptions {
  /** The Jinja text; absent: ChatML. */
  readonly source?: string | undefined;
  /** Named in errors about `source`. */
  readonly file: string;
  /** `bos_token`, `eos_token` and the like, as the template sees them. */
  readonly tokens: Readonly<Record<string, string>>;
}

export interface RenderOptions {
  /** The prompt ends where the assistant's answer begins. */
  readonly addGenerationPrompt: boolean;
  /** Think before answering, where the template has the choice; absent: its own default. */
  readonly thinking?: boolean | undefined;
}

/** Messages as the tokens that the model was trained to read. */
export interface Prompt {
  readonly text: string;
  readonly tokens: Int32Array;
  /** The prompt ends with `<think>`: the answer begins inside a thought. */
  readonly opensThought: boolean;
}

/** The model's chat template, in Jinja: messages -> prompt. */
export class ChatTemplate {
  /** Whether thinking can be turned on and off. */
  readonly hasThinking: boolean;
  readonly #template: Template;
  readonly #tokenizer: Tokenizer;
  readonly #tokens: Readonly<Record<string, string>>;

  /** @throws CheckpointError if the source is no template. */
  constructor(tokenizer: Tokenizer, { source = chatMl, file, tokens }: ChatTemplateOptions) {
    this.hasThinking = source.includes("enable_thinking");
    this.#tokenizer = tokenizer;
    this.#tokens = tokens;
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw new CheckpointError(file, "chat_template", "a Jinja template", reasonOf(cause), { cause });
    }
  }

  /**
   * The prompt of a conversation. Special tokens come from the template alone; bos comes first where the tokenizer or
   * the template wants it, once. Answers that `transcript` remembers keep the tokens they were made of.
   *
   * @throws OptionError for what is no message, TemplateError where the template refuses them.
   */
  encode(
    messages: readonly Message[],
    options: RenderOptions,
    transcript = new Transcript(this.#tokenizer),
  ): Prompt {
    const pieces = this.render(messages, options);
    const text = pieces.map((piece) => piece.text).join("");
    return {
      text,
      tokens: transcript.encode(pieces),
      opensThought: options.addGenerationPrompt && text.trimEnd().endsWith(thinkStart),
    };
  }

  /** The prompt's text, special tokens of messages apart from the template's own. Throws as `encode`. */
  render(messages: readonly Message[], { addGenerationPrompt, thinking }: RenderOptions): TemplatePiece[] {
    checkMessages(messages);
    const texts = messages.flatMap((message) => [message.content, message.thinking ?? ""]);
    const guard = new TextGuard(
      this.#tokenizer.addedTokens.map(({ content }) => content),
      texts,
    );
    const rendered = this.#render({
      messages: messages.map((message) => ({
        role: message.role,
        content: guard.guard(message.content),
        ...(message.thinking !== undefined && { reasoning_content: guard.guard(message.thinking) }),
      })),
      add_generation_prompt: addGenerationPrompt,
      ...(thinking !== undefined && { enable_thinking: thinking }),
    });
    return guard.pieces(rendered);
  }

  /** With the variables that Hugging Face gives to templates. */
  #render(variables: Readonly<Record<string, unknown>>): string {
    try {
      return this.#template.render({ tools: null, documents: null, ...this.#tokens, ...variables });
    } catch (cause) {
      throw new TemplateError(reasonOf(cause), { cause });
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
