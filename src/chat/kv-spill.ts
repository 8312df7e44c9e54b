/** Keys and values beyond memory: what is asked, checked, as the native side takes it. */
import { resolve } from "node:path";
import { OptionError, UnsupportedError } from "../errors.ts";
import type { ModelPlan, SparseRule } from "../native/binding.ts";

export interface SpillOptions {
  /**
   * A folder for keys and values that memory does not hold, so that a conversation may be longer than memory: they lie
   * there in a file without a name, which is gone with the model, however its process ends. Needs sparse attention,
   * which reads few of them for a token; answers are the same. Default: none, all stay in memory.
   */
  readonly kvSpill?: string | undefined;
  /**
   * Bytes of keys and values in memory with `kvSpill`; what choosing among them takes, a few percent of all, comes on
   * top. Default: a quarter of the memory free before loading.
   */
  readonly kvMemoryBytes?: number | undefined;
}

/**
 * The plan's part, with the default filled in.
 *
 * @throws OptionError, UnsupportedError under dense attention.
 */
export function spillOf(
  { kvSpill, kvMemoryBytes }: SpillOptions,
  rule: SparseRule | undefined,
  freeBytes: number,
): Pick<ModelPlan, "spill"> {
  if (kvMemoryBytes !== undefined && !(Number.isSafeInteger(kvMemoryBytes) && kvMemoryBytes > 0)) {
    throw new OptionError("kvMemoryBytes", "an integer of at least 1", kvMemoryBytes);
  }
  if (kvSpill === undefined) return {};
  if (typeof kvSpill !== "string" || kvSpill === "") throw new OptionError("kvSpill", "a folder", kvSpill);
  if (rule === undefined) {
    throw new UnsupportedError(
      "kvSpill under dense attention, where every token reads all keys and values from disk",
      'Load the model with sparse: "on", or without kvSpill.',
    );
  }
  return { spill: { path: resolve(kvSpill), bytes: kvMemoryBytes ?? Math.floor(freeBytes / 4) } };
}
