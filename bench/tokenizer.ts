/**
 * Seconds to encode 100,000 tokens of mixed text (prose, code, many scripts, emoji) as one string: ours with the fast
 * path and without it (see src/model/pre-tokenizer.ts), beside Hugging Face's Rust tokenizer. All must give the same
 * tokens. Each run has a tokenizer of its own, so that no cache is warm; the median of three is printed.
 *
 * Usage: node bench/run.mjs bench/tokenizer.ts [--json] [TOKENIZER.json]      (default: models/nano/tokenizer.json)
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { Tokenizer as Rust } from "tokenizers";
import { median } from "../src/bench/statistics.ts";
import { tableLines } from "../src/cli/table.ts";
import { Tokenizer } from "../src/model/tokenizer.ts";
import { madeTexts } from "../test/model/made-text.ts";
import { withoutFastPath } from "../test/model/without-fast-path.ts";
import { root } from "../test/needs.ts";

const tokenCount = 100_000;
const runs = 3;

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
if (positionals.length > 1) {
  console.error("usage: node bench/run.mjs bench/tokenizer.ts [--json] [TOKENIZER.json]");
  process.exit(2);
}
const file = positionals[0] ?? join(root, "models/nano/tokenizer.json");
const json = JSON.parse(readFileSync(file, "utf8"));
// Added tokens are text here: ours parses them in trusted text only.
const rustJson = JSON.stringify({ ...json, added_tokens: [] });

const text = textOf(tokenCount);
const tokens = new Tokenizer(file, json).encode(text);
const fast = await row("fast path", () => {
  const tokenizer = new Tokenizer(file, json);
  if (!tokenizer.fastPath) return undefined; // illegal for this vocabulary
  return () => tokenizer.encode(text);
});
const slow = await row("no fast path", () => {
  const tokenizer = new Tokenizer(file, withoutFastPath(json));
  return () => tokenizer.encode(text);
});
const rust = await row("tokenizers (Rust)", () => {
  const tokenizer = Rust.fromString(rustJson);
  return async () => (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
});

const rows = [fast, slow, rust].filter((result) => result !== undefined);
if (values.json) {
  console.log(JSON.stringify({ file, characters: text.length, tokens: tokens.length, runs, rows }));
} else {
  console.log(`${tokens.length} tokens, ${text.length} characters, ${file}`);
  const cells = rows.map(({ name, seconds }) => [
    name,
    `${seconds.toFixed(3)} s`,
    `${Math.round(tokens.length / seconds / 1000)}k tok/s`,
    `${(seconds / (rust?.seconds ?? seconds)).toFixed(2)} x Rust`,
  ]);
  for (const line of tableLines(cells, ["left", "right", "right", "right"])) console.log(line);
}

/** Times what `make` gives; each run makes its own. Undefined where it gives nothing. */
async function row(
  name: string,
  make: () => (() => ArrayLike<number> | Promise<ArrayLike<number>>) | undefined,
): Promise<{ readonly name: string; readonly seconds: number } | undefined> {
  const seconds: number[] = [];
  for (let run = 0; run < runs; ++run) {
    const encode = make();
    if (!encode) return undefined;
    const start = performance.now();
    const found = await encode();
    seconds.push((performance.now() - start) / 1000);
    if (!Buffer.from(Int32Array.from(found).buffer).equals(Buffer.from(tokens.buffer))) {
      throw new Error(`${name} gives ${found.length} other tokens`);
    }
  }
  return { name, seconds: median(seconds) };
}

/** Text of about `count` tokens: made-up texts between paragraphs of this repository's README and TypeScript. */
function textOf(count: number): string {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .toSorted()
    .map((name) => join("src", name));
  const paragraphs = ["README.md", ...sources].flatMap((name) =>
    readFileSync(join(root, name), "utf8").split("\n\n"),
  );
  const made = madeTexts(1, paragraphs.length);
  const mixed = paragraphs.flatMap((paragraph, index) => [paragraph, made[index] ?? ""]).join("\n\n");
  const tokenizer = new Tokenizer(file, json);
  const some = tokenizer.encode(mixed);
  return tokenizer.decode(some.subarray(0, count));
}
