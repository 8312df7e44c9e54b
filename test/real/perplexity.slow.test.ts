import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { root, sharedPath, testNeeding } from "../needs.ts";

const model = join(root, "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
const text = sharedPath("data/wikitext2/wiki.test.raw");
/** Of the script that defines it, run with torch in float32. `$CI_PERPLEXITY_WINDOWS` 20 scores all it has (about a minute). */
const golden = JSON.parse(
  readFileSync(new URL("../golden/smollm2/perplexity.json", import.meta.url), "utf8"),
);
const windows = process.env.CI_PERPLEXITY_WINDOWS ?? "2";

testNeeding([model, text], "models/smollm2/fetch brings the model")(
  `perplexity of ${windows} windows of WikiText-2 is that of transformers within 0.05 %`,
  async () => {
    const script = [
      join(root, "bench/run.mjs"),
      join(root, "bench/perplexity.ts"),
      model,
      text,
      windows,
      "--activations",
      "f32",
    ];
    const { stdout } = await promisify(execFile)(process.execPath, script);
    const found = JSON.parse(stdout);
    const expected = golden.windows[windows];
    expect(found.firstIds).toEqual(golden.firstIds);
    expect(found.tokens).toBe(expected.tokens);
    expect(Math.abs(found.perplexity / expected.perplexity - 1)).toBeLessThan(5e-4);
  },
);
