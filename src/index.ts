/** The public API. */
export type { GenerateOptions } from "./chat/generate-options.ts";
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
export type { FinishReason, Result, Stats, TokenLogprob, ToolStep, Usage } from "./chat/result.ts";
export type { Session, SessionOptions } from "./chat/session.ts";
export type { ToolChoice, ToolUse } from "./chat/tool-use.ts";
export type { Grammar } from "./constraint/grammar.ts";
export type { JsonSchema, SchemaObject } from "./constraint/json-schema.ts";
export type { SamplingOptions } from "./engine/sampling.ts";
export * from "./errors.ts";
export type { PackMethod } from "./model/packed-model.ts";
export type { RopeMode } from "./model/rope-extension.ts";
export type { CacheStatus, MemoryPlan, ModelComparison, Packing } from "./native/binding.ts";
export { type Dequantized, type DequantizeOptions, dequantize } from "./quantize/dequantize.ts";
export {
  type Quantized,
  type QuantizeOptions,
  type QuantizeProgress,
  quantize,
} from "./quantize/quantize.ts";
export {
  type ConnectMcpOptions,
  connectMcp,
  type McpCallbacks,
  type McpHost,
  type McpStatus,
} from "./tools/connect-mcp.ts";
export { type DefineToolOptions, defineTool, type StandardSchema } from "./tools/define-tool.ts";
export type { Approval, Approve, CallOutcome, ToolRun } from "./tools/make-call.ts";
export type { McpConfig, McpHttpConfig, McpServerConfig, McpStdioConfig } from "./tools/mcp-config.ts";
export type { McpAuthorization } from "./tools/mcp-transport.ts";
export type {
  JsonValue,
  Tool,
  ToolCall,
  ToolContent,
  ToolContext,
  ToolDefinition,
  ToolProgress,
  ToolResult,
} from "./tools/tool.ts";
