import { Template } from "@huggingface/jinja";
import { CheckpointError, TemplateError, UnsupportedError } from "../errors.ts";
import type { TemplatePiece, Tokenizer } from "../model/tokenizer.ts";
import { checkTools, definitionOf, type ToolDefinition } from "../tools/tool.ts";
import { type CallFormat, callFormatOf } from "./call-format.ts";
import { withCallsAsText } from "./call-text.ts";
import { chatMl } from "./chat-ml.ts";
import { TextGuard } from "./guarded-text.ts";
import { checkMessages, type Message } from "./message.ts";
import { openedThought } from "./thinking.ts";
import { withToolsAsText } from "./tool-prompt.ts";
import { Transcript } from "./transcript.ts";

export interface ChatTemplateOptions {
  /** The Jinja text; absent: ChatML. */
  readonly source?: string | undefined;
  /** Named in errors about `source`. */
  readonly file: string;
  /** `bos_token`, `eos_token` and the like, as the template sees them. */
  readonly tokens: Readonly<Record<string, string>>;
  /** Tools go into the system message, in MiniCPM4's form, where the template has no place for them. Default false. */
  readonly toolsAsText?: boolean;
}

export interface RenderOptions {
  /** The prompt ends where the assistant's answer begins. */
  readonly addGenerationPrompt: boolean;
  /** Think before answering, where the template has the choice; absent: its own default. */
  readonly thinking?: boolean | undefined;
  /** What the model may call. */
  readonly tools?: readonly ToolDefinition[] | undefined;
}

/** Messages as the tokens that the model was trained to read. */
export interface Prompt {
  readonly text: string;
  readonly tokens: Int32Array;
  /** The tag that ends a thought which the prompt opens at its end, such as `</think>`: the answer begins inside. */
  readonly openedThought: string | undefined;
}

/** The model's chat template, in Jinja: messages -> prompt. */
export class ChatTemplate {
  /** Whether thinking can be turned on and off. */
  readonly hasThinking: boolean;
  /** Whether the model can be told what it may call. */
  readonly hasTools: boolean;
  /** How the model writes calls. */
  readonly callFormat: CallFormat;
  /** The template itself does. */
  readonly #writesTools: boolean;
  readonly #writesCalls: boolean;
  readonly #template: Template;
  readonly #tokenizer: Tokenizer;
  readonly #tokens: Readonly<Record<string, string>>;

  /** @throws CheckpointError if the source is no template. */
  constructor(
    tokenizer: Tokenizer,
    { source = chatMl, file, tokens, toolsAsText = false }: ChatTemplateOptions,
  ) {
    this.hasThinking = source.includes("enable_thinking");
    this.#writesTools = /\btools\b/.test(source);
    this.hasTools = this.#writesTools || toolsAsText;
    this.callFormat = callFormatOf(source);
    this.#writesCalls = /\btool_calls\b/.test(source);
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
   * @throws OptionError for what is no message or tool, TemplateError where the template refuses them,
   *   UnsupportedError for tools where the template has no place for them.
   */
  encode(
    messages: readonly Message[],
    options: RenderOptions,
    transcript = new Transcript(this.#tokenizer),
  ): Prompt {
    const rendered = this.render(messages, options);
    const opened = options.addGenerationPrompt ? openedThought(textOf(rendered)) : undefined;
    return { text: textOf(rendered), tokens: transcript.encode(rendered), openedThought: opened };
  }

  /** The prompt's text, special tokens of messages apart from the template's own. Throws as `encode`. */
  render(
    messages: readonly Message[],
    { addGenerationPrompt, thinking, tools = [] }: RenderOptions,
  ): TemplatePiece[] {
    checkMessages(messages);
    checkTools(tools);
    if (tools.length > 0 && !this.hasTools) {
      throw new UnsupportedError(
        "Tools with this model's chat template",
        "It has no place for them: describe them in a system message, or take a model whose template has `tools`.",
      );
    }
    const told = tools.length > 0 && !this.#writesTools ? withToolsAsText(messages, tools) : messages;
    const roles = told.map(({ role }) => role);
    const given = {
      messages: told.map((message) =>
        templateMessage(this.#writesCalls ? message : withCallsAsText(message)),
      ),
      ...(tools.length > 0 && {
        tools: tools.map((tool) => ({ type: "function", function: definitionOf(tool) })),
      }),
    };
    const guard = new TextGuard(
      this.#tokenizer.addedTokens.map(({ content }) => content),
      given,
    );
    const guarded = guard.guard(given);
    const rendered = this.#render({
      ...guarded,
      messages: guarded.messages.map((message, index) => ({ ...message, role: roles[index] })),
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

/** A message as templates know it; MiniCPM4's says `thought` where others say `reasoning_content`. */
function templateMessage({ content, thinking, calls = [], callId }: Message): Record<string, unknown> {
  return {
    content,
    ...(thinking !== undefined && { reasoning_content: thinking, thought: thinking }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, arguments: given }) => ({
        type: "function",
        ...(id !== undefined && { id }),
        function: { name, arguments: given },
      })),
    }),
    ...(callId !== undefined && { tool_call_id: callId }),
  };
}

function textOf(pieces: readonly TemplatePiece[]): string {
  return pieces.map(({ text }) => text).join("");
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
