/** nano by this engine against models/nano/train/model.py, in float32: see write_goldens.py there. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readItems } from "../../bench/eval/items.ts";
import { ChatTemplate } from "../../src/chat/template.ts";
import { openModel } from "../../src/model/load.ts";
import { root } from "../needs.ts";
import { withModel, withSequence } from "../real/native-model.ts";

interface Row {
  readonly id: string;
  readonly text: string;
  readonly tokens: readonly number[];
  readonly best: readonly (readonly [token: number, logit: number])[];
  readonly perplexity: number;
}
const folder = join(root, "models/nano");
const rows: readonly Row[] = JSON.parse(readFileSync(join(folder, "eval/goldens.json"), "utf8"));

test("the chat template renders 50 held-out prompts as the generator did", () => {
  const { tokenizer, chatTemplate: source, templateTokens: tokens } = openModel(folder);
  const template = new ChatTemplate(tokenizer, { source, file: folder, tokens });
  const items = new Map(readItems(join(folder, "eval/held-out.jsonl")).map((item) => [item.id, item]));
  for (const { id, text } of rows) {
    const { messages = [], tools = [] } = items.get(id) ?? {};
    const pieces = template.render(messages, { addGenerationPrompt: true, tools });
    expect(pieces.map((piece) => piece.text).join(""), id).toBe(text);
  }
});

test("the tokens of 50 held-out prompts are those of the encoder it was trained with", () => {
  const { tokenizer } = openModel(folder);
  expect(rows.length).toBe(50);
  for (const { id, text, tokens } of rows) {
    expect([...tokenizer.encode(text, { special: true, bos: true })], id).toEqual(tokens);
  }
});

test("the ten best logits after them are within 0.002, none is missing, and perplexity has the same 3 digits", async () => {
  await withModel(folder, { threads: 0, kvType: "f32" }, (model) =>
    withSequence(model, 2048, async (sequence) => {
      for (const { id, tokens, best, perplexity } of rows) {
        sequence.truncate(0);
        const logProbs = await sequence.score(Int32Array.from(tokens));
        const loss = -logProbs.subarray(1).reduce((sum, logProb) => sum + logProb, 0) / (tokens.length - 1);
        expect(Math.abs(Math.exp(loss) / perplexity - 1), `${id}, perplexity`).toBeLessThan(5e-4);

        sequence.truncate(0);
        await sequence.prefill(Int32Array.from(tokens));
        const logits = sequence.logits();
        for (const [token, logit] of best) {
          expect(Math.abs((logits[token] ?? 0) - logit), `${id}, token ${token}`).toBeLessThan(2e-3);
        }
        const tenth = best.at(-1)?.[1] ?? 0;
        expect(logits.filter((logit) => logit > tenth + 2e-3).length, id).toBeLessThan(10);
      }
    }),
  );
});
