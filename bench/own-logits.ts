/** Our logits at every position of a text, for comparisons. */
import { type RunOptions, withModel, withSequence } from "../test/real/native-model.ts";

/** The logits after each token, one step a token, and the instruction set that computed them. */
export async function ownLogits(
  reference: string,
  tokens: Int32Array,
  options: RunOptions,
): Promise<{ readonly logits: Float32Array[]; readonly isa: string }> {
  return withModel(reference, { isa: process.env.MINICPM_CPU ?? "", ...options }, (model) =>
    withSequence(model, tokens.length, async (sequence) => {
      const logits: Float32Array[] = [];
      for (const position of tokens.keys()) {
        await sequence.prefill(tokens.subarray(position, position + 1));
        logits.push(sequence.logits());
      }
      return { logits, isa: model.isa };
    }),
  );
}
