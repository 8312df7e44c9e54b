import type { MemoryPlan } from "../native/binding.ts";

/** Bytes a loaded model takes, native and not. `total` is the sum of the others. */
export interface ModelMemory extends MemoryPlan {
  /** The tokenizer's tables in JavaScript's memory, and what reading them leaves there: an estimate. */
  readonly tokenizer: number;
}

/** Resident bytes for each token of the vocabulary: 1,409 with MiniCPM4's 73,448, 1,437 with SmolLM2's 49,152. */
const tokenizerBytesPerToken = 1450;

/** The native plan with the tokenizer beside it. */
export function withTokenizer(plan: MemoryPlan, vocabSize: number): ModelMemory {
  const tokenizer = tokenizerBytesPerToken * vocabSize;
  return { ...plan, tokenizer, total: plan.total + tokenizer };
}
