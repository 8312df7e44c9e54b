import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { loadModel } from "../../src/index.ts";
import { root, testNeeding } from "../needs.ts";
import { bitsOf, decode, withModel, withSequence } from "./native-model.ts";

/** Real weights against Hugging Face transformers in float32: see test/golden/smollm2/smollm2_golden.py. */
const file = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
const testWithSmolLM2 = testNeeding([file], "models/smollm2/fetch brings it");

interface Row {
  readonly prompt: string;
  readonly text: string;
  readonly ids: readonly number[];
  readonly top10: readonly (readonly [token: number, logit: number])[];
  readonly greedy: readonly number[];
  /** Best logit minus the second, at each greedy step. */
  readonly margin: readonly number[];
}
const rows: readonly Row[] = JSON.parse(
  readFileSync(new URL("../golden/smollm2/golden.json", import.meta.url), "utf8"),
).rows;

/** Steps before the first whose two best logits are closer than float32 arithmetic can be trusted to tell apart. */
function clearSteps(row: Row): number {
  const close = row.margin.findIndex((margin) => margin < 0.02);
  return close < 0 ? row.greedy.length : close;
}

describe.each([
  { device: "cpu", prompts: rows },
  { device: "reference", prompts: rows.slice(0, 2) },
] as const)("on $device", ({ device, prompts }) => {
  testWithSmolLM2("the ten best logits and the greedy answers are those of transformers", async () => {
    await withModel(file, { device, threads: 0, kvType: "f32" }, async (model) => {
      for (const row of prompts) {
        await withSequence(model, 256, async (sequence) => {
          await sequence.prefill(Int32Array.from(row.ids));
          const logits = sequence.logits();
          const best = [...logits.keys()].sort((a, b) => (logits[b] as number) - (logits[a] as number));
          for (const [token, logit] of row.top10) {
            expect(Math.abs((logits[token] as number) - logit), `${row.prompt}, token ${token}`).toBeLessThan(
              2e-3,
            );
          }
          const tenth = row.top10[9]?.[1] ?? 0;
          expect(logits[best[9] as number], `${row.prompt}, tenth best`).toBeLessThan(tenth + 2e-3);

          const steps = clearSteps(row);
          expect(steps, row.prompt).toBeGreaterThan(0);
          const made = await decode(sequence, steps);
          expect([...made], row.prompt).toEqual(row.greedy.slice(0, steps));
        });
      }
    });
  });
});

testWithSmolLM2("prompt ids are those of transformers, answers too", async () => {
  await using model = await loadModel(file, { kvType: "f32", activations: "f32", contextLength: 256 });
  for (const row of rows) {
    const asked = model.chat([{ role: "user", content: row.prompt }], {
      temperature: 0,
      maxTokens: clearSteps(row),
    });
    const { tokens, usage, finishReason } = await asked;
    expect(usage.prompt, row.prompt).toBe(row.ids.length);
    const expected = row.greedy.slice(0, clearSteps(row));
    if (expected.at(-1) === 2) expected.pop();
    expect([...tokens], row.prompt).toEqual(expected);
    if (row.greedy.length === expected.length + 1) expect(finishReason, row.prompt).toBe("stop");
  }
});

testWithSmolLM2("the bits of the logits do not depend on chunks or threads", async () => {
  const ids = Int32Array.from(rows.flatMap((row) => row.ids));
  const results: Uint32Array[] = [];
  for (const [threads, chunk] of [
    [1, 64],
    [2, 7],
    [2, ids.length],
  ] as const) {
    await withModel(file, { threads, kvType: "f16" }, (model) =>
      withSequence(model, 512, async (sequence) => {
        for (let first = 0; first < ids.length; first += chunk)
          await sequence.prefill(ids.subarray(first, first + chunk));
        results.push(bitsOf(sequence.logits()));
      }),
    );
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});

testNeeding([file, join(root, "dist/cli/main.js")], "models/smollm2/fetch; npm run build")(
  "`minicpm run` answers with Paris on stdout",
  async () => {
    // The best two first tokens are 0.08 apart: int8 activations, the default, may take the other.
    const words = [
      "run",
      file,
      "What is the capital of France?",
      "--temperature",
      "0",
      "--activations",
      "f32",
    ];
    const running = promisify(execFile)(process.execPath, [join(root, "dist/cli/main.js"), ...words]);
    running.child.stdin?.end(); // or `run` waits for what is piped in
    const { stdout } = await running;
    expect(stdout).toMatch(/^The capital of France is Paris/);
  },
);

test("the goldens are of eight prompts, most of them clear for several steps", () => {
  expect(rows).toHaveLength(8);
  expect(rows.reduce((total, row) => total + clearSteps(row), 0)).toBeGreaterThan(60);
});
