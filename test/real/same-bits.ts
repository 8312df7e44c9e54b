/** Contract 1, as a check: logits depend on tokens and positions, on nothing else. */
import { expect } from "vitest";
import { bitsOf, prefillIn, type RunOptions, withModel, withSequence } from "./native-model.ts";

/**
 * Runs `tokens` in chunks of 1, 7, 64 and whole, with 1 and 2 threads, beside another sequence that holds other tokens,
 * and after a truncate; expects equal bits of logits, of the final hidden state and of every token's log-probability.
 */
export async function expectSameBits(
  reference: string,
  options: RunOptions,
  tokens: Int32Array,
  capacity: number,
): Promise<void> {
  let first: Record<string, Uint32Array> | undefined;
  const compare = (found: Record<string, Float32Array>, how: string) => {
    const bits = Object.fromEntries(Object.entries(found).map(([name, array]) => [name, bitsOf(array)]));
    for (const [name, array] of Object.entries(found))
      expect(allFinite(array, name), `${name}, ${how}`).toBe(true);
    first ??= bits;
    for (const [name, expected] of Object.entries(first)) {
      expect(Buffer.compare(bytes(bits[name] as Uint32Array), bytes(expected)), `${name}, ${how}`).toBe(0);
    }
  };

  for (const threads of options.device === "reference" ? [1] : [1, 2]) {
    await withModel(reference, { ...options, threads }, async (model) => {
      const scored = await withSequence(model, capacity, (sequence) => sequence.score(tokens));
      for (const chunk of [tokens.length, 64, 7, 1]) {
        await withSequence(model, capacity, async (sequence) => {
          await prefillIn(sequence, tokens, chunk);
          const how = `threads ${threads}, chunks of ${chunk}`;
          compare({ logits: sequence.logits(), hidden: sequence.hidden(), scored }, how);

          // The same last row alone, after forgetting it.
          sequence.truncate(tokens.length - 1);
          await sequence.prefill(tokens.subarray(-1));
          compare({ logits: sequence.logits(), hidden: sequence.hidden(), scored }, `${how}, last row again`);
        });
      }
      await withSequence(model, capacity, (other) =>
        withSequence(model, capacity, async (sequence) => {
          // Two sequences taking turns: nothing of one may reach the other.
          const noise = Int32Array.from(tokens).reverse();
          await Promise.all([prefillIn(other, noise, 16), prefillIn(sequence, tokens, 16)]);
          compare(
            { logits: sequence.logits(), hidden: sequence.hidden(), scored },
            `threads ${threads}, beside another`,
          );
        }),
      );
    });
  }
}

/** log-probabilities begin with a NaN: nothing stands before the first token. */
function allFinite(array: Float32Array, name: string): boolean {
  return array.subarray(name === "scored" ? 1 : 0).every(Number.isFinite);
}

function bytes(array: Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
