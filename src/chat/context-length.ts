import { OptionError, OutOfMemoryError } from "../errors.ts";
import type { MemoryPlan } from "../native/binding.ts";

export interface ContextQuestion {
  /** What the caller wants. */
  readonly asked: number | "auto";
  /** Tokens the model was made for. */
  readonly most: number;
  readonly freeBytes: number;
  /** What the model takes with one sequence of this capacity; grows with it. */
  readonly memoryPlan: (capacity: number) => MemoryPlan;
}

export interface ContextChoice {
  readonly contextLength: number;
  /** Why, as a sentence. */
  readonly contextReason: string;
  readonly memory: MemoryPlan;
}

/** Tokens of a KV block: lengths below the maximum are multiples of it. */
const block = 64;

/**
 * How many tokens a conversation can hold: as many as asked, or by itself the model's maximum if all memory together
 * stays within half of what is free, else the largest length that does. Where the weights alone take more than that
 * half, the context may take half of what they leave.
 *
 * @throws OptionError for a length that the model was not made for.
 * @throws OutOfMemoryError where nothing, or not as much as asked, fits into free memory.
 */
export function chooseContextLength({ asked, most, freeBytes, memoryPlan }: ContextQuestion): ContextChoice {
  const fits = (capacity: number, bytes: number) => memoryPlan(capacity).total <= bytes;
  const choice = (contextLength: number, contextReason: string) => {
    return { contextLength, contextReason, memory: memoryPlan(contextLength) };
  };

  if (asked !== "auto") {
    if (!(Number.isInteger(asked) && asked > 0 && asked <= most)) {
      throw new OptionError("contextLength", `"auto" or an integer from 1 to the model's ${most}`, asked);
    }
    if (!fits(asked, freeBytes)) throw outOfMemory(asked, { most, freeBytes, memoryPlan });
    return choice(asked, `The context is ${asked} tokens, as asked.`);
  }

  const least = Math.min(block, most);
  if (!fits(least, freeBytes)) throw outOfMemory(least, { most, freeBytes, memoryPlan });
  if (fits(most, freeBytes / 2)) return choice(most, `The context is ${most} tokens, the model's maximum.`);

  const fixed = memoryPlan(least).total - memoryPlan(least).kv;
  const half = fits(least, freeBytes / 2);
  const budget = half ? freeBytes / 2 : fixed + (freeBytes - fixed) / 2;
  const contextLength = Math.max(
    least,
    largestThatFits(most, (capacity) => fits(capacity, budget)),
  );
  const wanted = `${mebibytes(memoryPlan(most).total)} MiB`;
  const free = `half of the ${mebibytes(freeBytes)} MiB that are free`;
  const left = `half of the ${mebibytes(freeBytes - fixed)} MiB that the weights leave free`;
  return choice(
    contextLength,
    `The context is ${contextLength} tokens: the model's maximum of ${most} would take ${wanted} in all, ` +
      `and a context that is not asked for stays within ${half ? free : left}. contextLength asks for another.`,
  );
}

function outOfMemory(
  capacity: number,
  { most, freeBytes, memoryPlan }: Omit<ContextQuestion, "asked">,
): OutOfMemoryError {
  const largest = largestThatFits(most, (length) => memoryPlan(length).total <= freeBytes);
  const remedy =
    largest > 0
      ? `Load the model with { contextLength: ${largest} } or less.`
      : "The weights alone do not fit: take a smaller model, or free some memory.";
  return new OutOfMemoryError(memoryPlan(capacity).total, freeBytes, remedy);
}

/** The largest multiple of 64 below `most` that fits, or 0. */
function largestThatFits(most: number, fits: (capacity: number) => boolean): number {
  let low = 0; // fits
  let high = Math.floor((most - 1) / block); // all above do not matter
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle * block)) low = middle;
    else high = middle - 1;
  }
  return low * block;
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
