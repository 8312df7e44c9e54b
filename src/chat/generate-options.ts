import type { Grammar } from "../constraint/grammar.ts";
import type { JsonSchema, SchemaObject } from "../constraint/json-schema.ts";
import type { SamplingOptions } from "../engine/sampling.ts";
import type { ToolUse } from "./tool-use.ts";

/** What a caller can ask of one answer. */
export interface GenerateOptions extends SamplingOptions, ToolUse {
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
   * The answer is JSON of this schema (JSON Schema, or a schema of Zod 4 or another library that can write it), and
   * `Result.value` what it says. With tools the model may call instead. Thinking stays free. What the schema asks and
   * cannot be kept while the answer is made (`pattern`, most of `format`) is refused: ConstraintError.
   */
  readonly schema?: JsonSchema | SchemaObject | undefined;
  /** The answer is a text of this grammar; a string is EBNF. Thinking stays free. */
  readonly grammar?: Grammar | undefined;
  /** Ends the run: it rejects with AbortError, whose `partial` is the result so far. */
  readonly signal?: AbortSignal | undefined;
}
