/** The public API. */
export type { GenerateOptions, ToolChoice } from "./chat/generate-options.ts";
export type { Generation, GenerationEvent } from "./chat/generation.ts";
export { type LoadOptions, type LoadProgress, loadModel } from "./chat/load-model.ts";
export type { Message } from "./chat/message.ts";
export type {
  EmbedOptions,
  LoadSessionOptions,
  Model,
  ModelInfo,
  ReadOptions,
  ReadResult,
} from "./chat/model.ts";
export type { ModelMemory } from "./chat/model-memory.ts";
export type { MalformedCall } from "./chat/python-calls.ts";
export type { FinishReason, Result, Stats, TokenLogprob, Usage } from "./chat/result.ts";
export type { Session, SessionOptions } from "./chat/session.ts";
export type { Grammar } from "./constraint/grammar.ts";
export type { JsonSchema, SchemaObject } from "./constraint/json-schema.ts";
export type { SamplingOptions } from "./engine/sampling.ts";
export * from "./errors.ts";
export type { CacheStatus, MemoryPlan, Packing } from "./native/binding.ts";
export type { JsonValue, ToolCall, ToolDefinition } from "./tools/tool.ts";
