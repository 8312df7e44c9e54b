import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { minicpm, nano, testNative } from "./cli-process.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "minicpm-curve-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const little = ["-p", "16", "-n", "2", "-r", "1", "--kv-type", "f16"];

testNative("--curve measures sparse and dense, draws, and measures only what its points lack", async () => {
  const [points, svg] = [join(folder, "points.jsonl"), join(folder, "curve.svg")];
  const files = ["--points", points, "--svg", svg];
  const first = await minicpm(["bench", nano, ...little, "--curve", "64,1024", ...files]);
  expect({ code: first.code, err: first.err }).toEqual({ code: 0, err: "" });
  expect(first.out).toMatch(/^\| nano BF16, sparse, KV f16 \| [\d.]+ \| [\d.]+ \|$/m);
  expect(first.out).toMatch(/^\| nano BF16, dense, KV f16 \|/m);
  expect(first.out).toMatch(/## Where the time of decode goes, and what a token reads/);
  expect(readFileSync(svg, "utf8")).toContain("nano BF16, sparse, KV f16");
  const before = readFileSync(points, "utf8");
  expect(before.trim().split("\n")).toHaveLength(2 * 2 * 2);

  const second = await minicpm(["bench", nano, ...little, "--curve", "64,1024,2048", ...files]);
  expect(second.code).toBe(0);
  const after = readFileSync(points, "utf8");
  expect(after.startsWith(before)).toBe(true);
  expect(after.trim().split("\n")).toHaveLength(3 * 2 * 2);
});

testNative("sparse decode reads its blocks and pooled keys, and little more than the least", async () => {
  const { out } = await minicpm([
    "bench",
    nano,
    ...little,
    "--curve",
    "4000",
    "--sparse",
    "on",
    "-o",
    "jsonl",
  ]);
  const found = out
    .trim()
    .split("\n")
    .map((text) => JSON.parse(text));
  expect(found.map(({ test, attention }) => [test, attention])).toEqual([
    ["prefill", "sparse"],
    ["decode", "sparse"],
  ]);
  const { profile, least_bytes: least } = found[1];
  const read = profile.linear.bytes + profile.attention.bytes + profile.score_blocks.bytes;
  expect(read / least).toBeGreaterThan(1);
  expect(read / least).toBeLessThan(1.3);
});

test.each([
  [["--curve", "many"], /It must be an integer/],
  [["--curve", "--vs", "onnxruntime"], /--curve stands beside llama\.cpp only/],
  [["--curve", "-o", "csv"], /--curve prints md, json or jsonl/],
  [["--curve", "--device", "reference"], /--curve measures the CPU only/],
  [["--curve", "-d", "64"], /--curve does not read --depth: its lengths are the depths/],
  [["--curve", "-b", "2"], /--curve does not read --batch:/],
  [["--curve", "64", "--turn", "8,8,8", "--ops"], /--curve does not read --turn, --ops:/],
  [["--curve", "-p", "16,32"], /--curve takes one -p and one -n/],
  [["--curve", "--vs-most", "64"], /about llama\.cpp: add --vs llama\.cpp/],
  [["--curve", "--points", "."], /^error: \. cannot be read: it is a folder/],
  [["--points", "curve.jsonl"], /Only --curve reads --points: add --curve/],
  [["--budget", "5", "--vs-most", "64"], /Only --curve reads --budget, --vs-most: add --curve/],
  [["--svg", "a.svg"], /--svg draws a comparison or a curve: add --vs/],
  [["--vs-model", "qwen3-0.6b", "--ops"], /--vs and --vs-model take no --ops/],
])("%j is refused", async (words, reason) => {
  const { code, err } = await minicpm(["bench", nano, ...words]);
  expect(code).toBe(2);
  expect(err).toMatch(reason);
});

test("a file that holds no points is refused by its line", async () => {
  const points = join(folder, "points.jsonl");
  writeFileSync(points, '\n{"a": 1}\n');
  const { code, err } = await minicpm(["bench", nano, "--curve", "64", "--points", points]);
  expect(code).toBe(2);
  expect(err).toMatch(/line 2 of .*points\.jsonl is no point of a curve/);
  expect(readFileSync(points, "utf8")).toContain('{"a": 1}');
});
