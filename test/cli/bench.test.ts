import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { madeRow } from "../bench/made-row.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { minicpm, testNative, tiny } from "./cli-process.ts";

const cache = scratchFolder();

const small = ["-p", "16", "-n", "4", "-r", "2", "-t", "1"];

testNative("bench prints a row for each test, as Markdown", async () => {
  const { code, out, err } = await minicpm(["bench", tiny, ...small, "-d", "0,64", "-b", "1,2"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const [titles = "", , ...rows] = out.trimEnd().split("\n");
  expect(titles).toMatch(
    /^\| model +\| +size \| +params \| backend +\| threads \| +test \| +t\/s \| +of limit \|$/,
  );
  expect(rows.map((row) => row.split("|")[6]?.trim())).toEqual([
    "pp16",
    "tg4",
    "tg4 b2",
    "pp16 @ d64",
    "tg4 @ d64",
    "tg4 @ d64 b2",
  ]);
  for (const row of rows) expect(row).toMatch(/\| +\d+\.\d\d ± \d+\.\d\d \| +\d+ % (memory|compute) \|$/);
});

testNative("-o json is one list whose rows have every repetition; --json means the same", async () => {
  const { out } = await minicpm(["bench", tiny, ...small, "-o", "json"]);
  const rows = JSON.parse(out);
  expect(rows.map(({ test }: { test: string }) => test)).toEqual(["pp16", "tg4"]);
  for (const row of rows) {
    expect(Object.keys(row)).toEqual(Object.keys(madeRow));
    expect(row.samples_ts).toHaveLength(2);
    expect(row.avg_ts).toBeCloseTo((row.samples_ts[0] + row.samples_ts[1]) / 2, 6);
    expect(row.share).toBeGreaterThan(0);
    expect(row.share).toBeLessThan(1.5);
  }
  const short = await minicpm(["bench", tiny, ...small, "-n", "0", "--json"]);
  expect(JSON.parse(short.out)).toMatchObject([{ test: "pp16", n_threads: 1, type_k: "f16" }]);
});

testNative("-o jsonl and -o csv are a line a test, a second turn says what was cached", async () => {
  const words = ["bench", tiny, ...small, "-n", "0", "--turn", "64,8,3"];
  const lines = (await minicpm([...words, "-o", "jsonl"])).out.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).test)).toEqual(["pp16", "pp8+tg3 @ c64"]);
  expect(JSON.parse(lines[1] ?? "").samples_cached).toEqual([64, 64]);
  const csv = (await minicpm([...words, "-o", "csv"])).out.trimEnd().split("\n");
  expect(csv).toHaveLength(3);
  expect(csv[0]).toMatch(/^model_filename,model_type,/);
});

testNative("--shape measures random weights and leaves nothing behind", async () => {
  const env = { XDG_CACHE_HOME: cache };
  const shape = join(tiny, "config.json");
  const { code, out } = await minicpm(["bench", "--shape", shape, ...small, "-n", "0", "-o", "json"], {
    env,
  });
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject([{ model_type: "tiny BF16", test: "pp16" }]);
  expect(readdirSync(join(cache, "minicpm/shapes"))).toEqual([]);
});

testNative("--device reference measures the definition, in f32", async () => {
  const { out } = await minicpm(["bench", tiny, ...small, "--device", "reference", "--json"]);
  expect(JSON.parse(out)[0]).toMatchObject({ backends: "reference scalar", type_k: "f32", n_threads: 1 });
});

testNative("Ctrl-C ends it, exit code 130", async () => {
  const words = ["bench", tiny, "-p", "0", "-n", "4,1000000", "-r", "1", "-o", "jsonl"];
  let sent = false;
  const { code, out } = await minicpm(words, {
    onOutput: (_, child) => {
      if (!sent) child.kill("SIGINT");
      sent = true;
    },
  });
  expect(code).toBe(130);
  expect(out.trimEnd().split("\n")).toHaveLength(1);
});

test.each([
  [["-p", "0", "-n", "0"], /Nothing to measure/],
  [["-p", "512,many"], /It must be an integer from 0 to/],
  [["-b", "0"], /It must be an integer from 1 to 512/],
  [["-r", "0"], /It must be an integer from 1 to 1000/],
  [["--turn", "64,8"], /It must be three counts of tokens/],
  [["-o", "html"], /Allowed choices are md, json, jsonl, csv/],
  [["--shape", "minicpm4-0.5b"], /Give a model or --shape, not both/],
  [["--device", "reference", "--kv-type", "f16"], /computes in f32 only/],
])("%j is refused, exit code 2", async (words, reason) => {
  const { code, out, err } = await minicpm(["bench", tiny, ...words]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(reason);
});

test("a shape or model that is not there is told, as JSON with --json", async () => {
  const shape = await minicpm(["bench", "--shape", "minicpm9", "--json"]);
  expect(shape.code).toBe(2);
  expect(JSON.parse(shape.err).error).toMatchObject({ code: "OPTION" });
  const model = await minicpm(["bench", "no-such-model", "--json"]);
  expect(model.code).toBe(1);
  expect(JSON.parse(model.err).error).toMatchObject({ code: "MODEL_NOT_FOUND" });
});

testNative("bench with --kv-spill says what was read from disk", async () => {
  const folder = join(cache, "spill");
  const words = ["bench", "nano", "-p", "0", "-n", "4", "-d", "3840", "-r", "1", "-t", "1", "-o", "json"];
  const spill = ["--kv-spill", folder, "--kv-memory-bytes", String(3 * 2 ** 20)];
  const { code, out, err } = await minicpm([...words, ...spill]);
  expect(code).toBe(0);
  expect(JSON.parse(out)[0].samples_spill_misses[0]).toBeGreaterThan(0);
  expect(err).toMatch(/tg4 @ d3840: \d+ of \d+ reads .* came from disk/);
});

testNative("--ops gives each kind of op a line of its own below the table", async () => {
  const { code, out } = await minicpm(["bench", tiny, ...small, "--ops"]);
  expect(code).toBe(0);
  expect(out).toMatch(/\ntg4\n( {2}\w+ +[\d.]+ % +\d+ calls.*\n)+$/);
  for (const kind of ["linear", "attention", "kv_append"]) {
    expect(out).toMatch(new RegExp(`^ {2}${kind} +[\\d.]+ %`, "m"));
  }
  expect(out).not.toContain("score_blocks");
  const sparse = await minicpm([
    "bench",
    tiny,
    "-p",
    "0",
    "-n",
    "2",
    "-r",
    "1",
    "-d",
    "9000",
    "--sparse",
    "on",
    "--ops",
  ]);
  expect(sparse.out).toMatch(/^ {2}score_blocks +[\d.]+ % +\d+ calls {2}[\d.]+ MiB at [\d.]+ GB\/s$/m);
  const [row] = JSON.parse((await minicpm(["bench", tiny, ...small, "--ops", "-o", "json"])).out);
  expect(row.ops.linear.calls).toBeGreaterThan(0);
});
