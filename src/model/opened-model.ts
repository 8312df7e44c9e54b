/** What opening a model gives: everything above the native side, whichever format it comes from. */
import type { ModelPlan } from "../native/binding.ts";
import type { ModelConfig } from "./config.ts";
import type { ModelLocation } from "./find-model.ts";
import type { GenerationConfig } from "./huggingface-config.ts";
import type { PackedModel } from "./packed-model.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** The numbers and weights of a model, without its tokenizer. */
export interface OpenedCheckpoint extends ModelLocation {
  readonly config: ModelConfig;
  /** Spread into a `ModelPlan` beside device, threads, kvType and isa. */
  readonly plan: Pick<ModelPlan, "config" | "files" | "weights">;
  /** The matrices are packed in the files, like this; absent: they are not. */
  readonly packed?: PackedModel;
  /** The head is the embedding. */
  readonly tiedHead: boolean;
  /** Tensors in the files that the model has no use for. */
  readonly unknownTensors: readonly string[];
}

/** What a model says in words: how to write and end a conversation with it. */
export interface OpenedText {
  readonly tokenizer: Tokenizer;
  /** The Jinja text, where the model brings one. */
  readonly chatTemplate?: string;
  /** `bos_token`, `eos_token` and the like as templates see them. */
  readonly templateTokens: Readonly<Record<string, string>>;
  /** Defaults that the model brings for sampling; empty where it brings none. */
  readonly generationConfig: GenerationConfig;
  /** Tokens that end an answer: those of the config and of the generation config. */
  readonly stopTokens: Int32Array;
  /** Every file that was read, weights and all. */
  readonly sources: readonly string[];
}

export type OpenedModel = OpenedCheckpoint & OpenedText;

/** A checkpoint whose text part is read when asked for. */
export interface ModelReader {
  readonly checkpoint: OpenedCheckpoint;
  readText(): OpenedText;
}
