/** What a model takes at several context lengths, by the native side's own plan. */
import { type SpillOptions, spillOf } from "../chat/kv-spill.ts";
import { type ModelMemory, withTokenizer } from "../chat/model-memory.ts";
import { packingOf } from "../chat/packing.ts";
import { AddonNotFoundError } from "../errors.ts";
import { checkKvType } from "../model/config.ts";
import type { OpenedModel } from "../model/opened-model.ts";
import { chooseSparse } from "../model/sparse-rule.ts";
import { addon, type KvType } from "../native/binding.ts";
import { withPublicErrors } from "../native/error-table.ts";

export interface MemoryRow extends ModelMemory {
  readonly contextLength: number;
}

export type MemoryTable =
  | { readonly rows: readonly MemoryRow[] }
  /** Why there is no table, as a sentence. */
  | { readonly rows: undefined; readonly missing: string };

/**
 * One sequence at 2K, 8K, 32K, ... tokens below the model's maximum, and at the maximum. Throws as loading does where
 * the model cannot be held like that.
 */
export function memoryByContext(
  opened: OpenedModel,
  { kvType, ...spill }: SpillOptions & { readonly kvType: KvType },
): MemoryTable {
  const { path, plan, config, tokenizer } = opened;
  checkKvType(kvType, config);
  const sparse = chooseSparse(path, config, "auto").rule;
  try {
    const native = addon();
    const free = native.devices().find(({ name }) => name === "cpu")?.freeBytes ?? 0;
    const full = {
      ...plan,
      ...spillOf(spill, sparse, free),
      config: { ...plan.config, sparse },
      device: "cpu",
      threads: 0,
      kvType,
      isa: process.env.MINICPM_CPU ?? "",
      cacheBytes: 0,
      ...packingOf({}, opened),
    } as const;
    const rows = contextLengths(config.maxContext).map((contextLength) => ({
      contextLength,
      ...withTokenizer(
        withPublicErrors(() => native.memoryPlan(full, { capacity: contextLength, sequences: 1 })),
        tokenizer.vocabSize,
      ),
    }));
    return { rows };
  } catch (error) {
    if (error instanceof AddonNotFoundError) return { rows: undefined, missing: error.message };
    throw error;
  }
}

function contextLengths(most: number): number[] {
  const lengths: number[] = [];
  for (let length = 2048; length < most; length *= 4) lengths.push(length);
  return [...lengths, most];
}
