import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { llamaCppPath } from "../../bench/peers/llama-cpp.ts";
import { root, testNeeding } from "../needs.ts";
import { scratchFolder } from "../scratch-folder.ts";
import { addonFile, minicpm, nano, testNative, tiny } from "./cli-process.ts";

const cache = scratchFolder();

const env = { XDG_CACHE_HOME: cache };
const small = ["-p", "16", "-n", "4", "-r", "2", "-t", "1"];

const testBoth = testNeeding(
  [llamaCppPath, addonFile],
  "npm install --prefix bench/peers, npm run build:native",
);

testBoth("--vs llama.cpp compares on the same weights and leaves nothing behind", async () => {
  const svg = join(cache, "chart.svg");
  const words = ["bench", nano, ...small, "-d", "0,32", "--vs", "llama.cpp", "-o", "json", "--svg", svg];
  const { code, out } = await minicpm(words, { env });
  expect(code).toBe(0);
  const { rows, threads, scheduling, cpu } = JSON.parse(out);
  expect([threads, ["SCHED_OTHER", "SCHED_RR 1"].includes(scheduling), typeof cpu]).toEqual([
    1,
    true,
    "string",
  ]);
  expect(rows.map(({ name }: { name: string }) => name)).toEqual(["pp16", "tg4", "pp16 @ d32", "tg4 @ d32"]);
  for (const row of rows) {
    expect(row.samples_ours).toHaveLength(2);
    expect(row.ours).toBeCloseTo((row.samples_ours[0] + row.samples_ours[1]) / 2, 6);
    expect(row.ratio).toBeGreaterThanOrEqual(row.ratio_min);
    expect(row.theirs_is).toMatch(/^nano F16 in llama\.cpp \(node-llama-cpp [\d.]+\), /);
    expect(row.theirs_variant).toMatch(/^flash attention (on|off)$/);
    expect(row.share).toBeGreaterThan(0);
  }
  expect(readFileSync(svg, "utf8")).toContain("pp16 @ d32");
  expect(readdirSync(join(cache, "minicpm/shapes"))).toEqual([]);
});

testBoth("--pack puts packed weights beside llama.cpp's type of as many bits", async () => {
  const words = ["bench", nano, ...small, "--pack", "w4", "--vs", "llama.cpp", "-o", "json"];
  const { code, out, err } = await minicpm(words, { env });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const { rows } = JSON.parse(out);
  expect(rows.map(({ name }: { name: string }) => name)).toEqual(["pp16", "tg4"]);
  for (const row of rows) {
    expect(row.ours_is).toMatch(/^nano w4 g128 a8 in minicpm/);
    expect(row.theirs_is).toMatch(/^nano Q4_0, head Q6_K in llama\.cpp/);
    expect(row.ours).toBeGreaterThan(0);
  }
});

const onnxRuntime = join(root, "bench/peers/node_modules/onnxruntime-node");
const installed = "npm install --prefix bench/peers --ignore-scripts --no-save onnxruntime-node";

testNeeding([onnxRuntime, addonFile], installed)(
  "--vs onnxruntime says that it has no attention",
  async () => {
    const words = ["bench", nano, ...small, "--vs", "onnxruntime", "-o", "json"];
    const { code, out } = await minicpm(words, { env });
    expect(code).toBe(0);
    const { rows } = JSON.parse(out);
    expect(rows.map(({ name }: { name: string }) => name)).toEqual(["pp16", "tg4"]);
    for (const row of rows) {
      expect(row.theirs_is).toMatch(/^nano int4 in ONNX Runtime .*, linear layers and head only$/);
      expect(row.theirs_variant).toMatch(/^int4 in blocks of (32|128)$/);
      expect(row.theirs).toBeGreaterThan(0);
    }
  },
);

testNative(
  "--vs-model puts two models side by side, the second by its shape where there is none",
  async () => {
    const shape = join(tiny, "config.json");
    const words = ["bench", "--shape", shape, ...small, "--vs-model", nano];
    const { code, out } = await minicpm(words, { env });
    expect(code).toBe(0);
    expect(out).toContain("Random weights in the shape of tiny");
    expect(out).toMatch(/^ours: tiny BF16 in minicpm, cpu \w+ \(loaded in [\d.]+ s, [\d.]+ GiB\) *$/m);
    expect(out).toMatch(/^theirs: nano BF16 in minicpm, cpu \w+/m);
    expect(out.match(/^\| (pp16|tg4) /gm)).toHaveLength(2);
    expect(readdirSync(join(cache, "minicpm/shapes"))).toEqual([]);
  },
);

testNative("Ctrl-C ends a comparison and its processes, exit code 130", async () => {
  const shape = join(tiny, "config.json");
  const words = [
    "bench",
    "--shape",
    shape,
    "--keep",
    "-p",
    "0",
    "-n",
    "10000000",
    "-r",
    "1",
    "--vs-model",
    nano,
  ];
  let sent = false;
  const { code, out, err } = await minicpm(words, {
    env: { XDG_CACHE_HOME: join(cache, "kept") },
    onOutput: (_, child) => {
      if (!sent) setTimeout(() => child.kill("SIGINT"), 500); // the notice of what is kept comes before the engines
      sent = true;
    },
  });
  expect({ code, out }).toEqual({ code: 130, out: "" });
  expect(err).toContain("The weights of tiny stay in");
});

test.each([
  [["--vs", "vllm"], /Allowed choices are llama\.cpp, onnxruntime/],
  [["--vs-type", "q4_0", "--vs-model", nano], /give --vs llama\.cpp/],
  [["--vs-model", nano, "--device", "reference"], /on the CPU only/],
  [["--vs-model", nano, "-b", "2"], /neither --turn nor --batch/],
  [["--vs", "onnxruntime", "-d", "0,64"], /linear layers and the head only/],
  [["--vs-model", nano, "-o", "csv"], /print md or json/],
])("%j is refused, exit code 2", async (words, reason) => {
  const { code, out, err } = await minicpm(["bench", tiny, ...words], { env });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(reason);
});

test("a model to compare with that is neither model nor shape is told", async () => {
  const { code, err } = await minicpm(["bench", tiny, "--vs-model", "qwen9", "--json"], { env });
  expect(code).toBe(1);
  expect(JSON.parse(err).error).toMatchObject({ code: "MODEL_NOT_FOUND" });
});
