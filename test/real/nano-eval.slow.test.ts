/** The committed scores (bench/results/nano-eval.json) come out again: greedy answers are the same, whatever the batch. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ask } from "../../bench/eval/ask.ts";
import { readItems } from "../../bench/eval/items.ts";
import { scores } from "../../bench/eval/scores.ts";
import { loadModel } from "../../src/index.ts";
import { root } from "../needs.ts";

const nano = join(root, "models/nano");
const committed = JSON.parse(readFileSync(join(root, "bench/results/nano-eval.json"), "utf8"));
const weights = createHash("sha256")
  .update(readFileSync(join(nano, "model.safetensors")))
  .digest("hex");
const name = "nano's committed scores on handed-over.jsonl come out again";

if (committed.weights !== weights) {
  test.skip(`${name}: they are of other weights, run bench/nano-eval.ts --out bench/results/nano-eval`, () => {});
} else {
  test(name, async () => {
    await using model = await loadModel("nano", { kvType: committed.kvType });
    const [report] = committed.files;
    const items = readItems(join(nano, "eval", report.file));
    const asked = await ask(model, items, {
      sessions: 7,
      history: report.history,
      maxTokens: ({ suite }, expected) => (suite === "needle" ? 40 : expected.length + 10),
    });
    const found = scores(asked, report.rules);
    if (model.info.isa === committed.isa) return expect(found).toEqual(report.scores);
    // Sums of another instruction set end in other bits: a close token may differ.
    for (const [index, { row, percent, items }] of found.entries()) {
      expect(row).toBe(report.scores[index].row);
      expect(Math.abs(percent - report.scores[index].percent)).toBeLessThanOrEqual(101 / items);
    }
  });
}
