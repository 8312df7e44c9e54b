import type { SamplingOptions } from "../engine/sampling.ts";
import type { ToolDefinition } from "../tools/tool.ts";

/** What a caller can ask of one answer. */
export interface GenerateOptions extends SamplingOptions {
  /**
   * Most tokens to make. Prompt + maxTokens must fit the context. Default: generation_config.json's
   * max_new_tokens as far as it fits, else until the context is full.
   */
  readonly maxTokens?: number | undefined;
  /** The answer ends before the first of these texts. */
  readonly stop?: readonly string[] | undefined;
  /** Go on past the end-of-sequence tokens. */
  readonly ignoreEos?: boolean | undefined;
  /** Think before answering, or not, where the chat template has the choice. Default: the template's own. */
  readonly thinking?: boolean | undefined;
  /**
   * What the model may call: its chat template tells it. Calls come back in the result and are made by nobody but the
   * caller. In a session this stands in for the session's own. Default: none, or the session's.
   */
  readonly tools?: readonly ToolDefinition[] | undefined;
  /** Ends the run: it rejects with AbortError, whose `partial` is the result so far. */
  readonly signal?: AbortSignal | undefined;
}
