/** What a packed model computes, bit by bit. */
import { seededPrompt } from "../../src/bench/seeded-checkpoint.ts";
import type { Packing } from "../../src/native/binding.ts";
import { bitsOf, decode, withModel, withSequence } from "../real/native-model.ts";

/** Logits of a prompt's last token, then of one after some decoding. @param vocabulary the prompt's tokens are below it */
export async function logitsOf(reference: string, pack: Packing, vocabulary: number): Promise<Uint32Array[]> {
  return withModel(reference, { pack, activations: "int8" }, (model) =>
    withSequence(model, 100, async (sequence) => {
      await sequence.prefill(seededPrompt({ vocab_size: vocabulary }, 3, 40));
      const first = bitsOf(sequence.logits());
      await decode(sequence, 5);
      return [first, bitsOf(sequence.logits())];
    }),
  );
}
