/** Puts a text's questions to a model, greedy: the text is read once, each question behind it. */
import type { BenchModel } from "../../src/bench/bench-model.ts";
import { generate } from "../../src/engine/generate.ts";
import { greedy } from "../../src/engine/sampling.ts";
import { Sequence } from "../../src/engine/sequence.ts";
import type { Tokenizer } from "../../src/model/tokenizer.ts";
import type { Outcome } from "./grid.ts";
import { isFound, type Text } from "./texts.ts";

/** Most tokens of an answer: a sentence. */
const mostTokens = 40;

export async function runText(
  { native }: BenchModel,
  tokenizer: Tokenizer,
  stopTokens: Int32Array,
  { questions }: Text,
): Promise<Outcome[]> {
  const capacity = Math.max(...questions.map(({ prompt }) => prompt.length)) + mostTokens;
  const sequence = new Sequence(native.createSequence({ capacity }));
  try {
    const outcomes: Outcome[] = [];
    for (const { prompt, depth, expected } of questions) {
      const shared = sharedLength(sequence.tokens(), prompt);
      const start = performance.now();
      let read = start;
      const tokens: number[] = [];
      const options = { maxTokens: mostTokens, stopTokens, sampling: greedy };
      for await (const event of generate(sequence, prompt, options)) {
        if (event.type === "prefill") read = performance.now();
        if (event.type === "tokens") tokens.push(...event.tokens);
      }
      const text = tokenizer.decode(Int32Array.from(tokens), { continued: true });
      outcomes.push({
        depth,
        right: isFound(expected, text),
        read: prompt.length - shared,
        readSeconds: (read - start) / 1000,
        made: tokens.length,
        madeSeconds: (performance.now() - read) / 1000,
      });
    }
    return outcomes;
  } finally {
    sequence.dispose();
  }
}

/** Tokens that both begin with; the last of a prompt is always computed. */
function sharedLength(held: Int32Array, prompt: Int32Array): number {
  const most = Math.min(held.length, prompt.length - 1);
  for (let i = 0; i < most; ++i) if (held[i] !== prompt[i]) return i;
  return most;
}
