import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Cell, cellsOf, type Outcome, textsOf } from "../../bench/needle/grid.ts";
import { heatMap } from "../../bench/needle/heat-map.ts";
import { type NeedleReport, needleChart, needleMarkdown } from "../../bench/needle/report.ts";
import { isFound, makeTexts } from "../../bench/needle/texts.ts";
import { openModel } from "../../src/model/load.ts";
import { root, testNeeding } from "../needs.ts";

const python = spawnSync("python3", ["--version"]).status === 0 ? [] : ["python3"];
const addon = join(root, "build/Release/minicpm.node");
const withPython = testNeeding(python);
const withBoth = testNeeding([...python, addon], "npm run build:native");

const options = {
  lengths: [512],
  keys: [1],
  depths: [0, 0.25, 0.5, 0.75, 1],
  tokensPerCell: 4096,
  mostItems: 3,
};

test("a text asks for as many facts as it has, and every depth is asked for once an item", () => {
  const depthsOf = (keys: number) => textsOf(4096, keys, options).map(({ depths }) => depths);
  expect(depthsOf(1)).toEqual([[0], [0.25], [0.5], [0.75], [1]]);
  expect(depthsOf(2)).toEqual([[0, 0.75], [0.25, 1], [0.5]]);
  expect(depthsOf(9)).toEqual([[0, 0.25, 0.5, 0.75, 1]]);
  expect(textsOf(2048, 9, options)).toHaveLength(2);
  expect(textsOf(512, 9, options)).toHaveLength(3);
  const seeds = textsOf(512, 2, options).map(({ seed }) => seed);
  expect(new Set(seeds).size).toBe(9);
});

test("a cell counts the answers of its depth, and speeds are those of what was computed", () => {
  const outcome: Outcome = { depth: 0, right: true, read: 90, readSeconds: 1, made: 10, madeSeconds: 2 };
  const cells = cellsOf("dense", { length: 100, keys: 9 }, [
    { ...outcome, depth: 1 },
    outcome,
    { ...outcome, right: false, read: 10 },
  ]);
  const speeds = { prefillTps: 190 / 3, decodeTps: 5 };
  const place = { attention: "dense", length: 100, keys: 9 };
  expect(cells).toEqual([
    { ...place, depth: 0, items: 2, right: 1, ...speeds },
    { ...place, depth: 1, items: 1, right: 1, ...speeds },
  ]);
});

test("a needle is found where its number is in the answer", () => {
  const expected = "The code for the peka garden is 13518.";
  expect(isFound(expected, " It is 13518, I think.")).toBe(true);
  expect(isFound(expected, " The code for the peka garden is 13581.")).toBe(false);
});

withPython("texts are as long as asked, their facts where asked, all of their form and held out", () => {
  const { tokenizer } = openModel(join(root, "models/nano"));
  const encode = (content: string) => tokenizer.encode(content, { bos: true });
  const plans = [
    { seed: "a", tokens: 2500, keys: 1, depths: [0.5] },
    { seed: "b", tokens: 4000, keys: 5, depths: [0, 0.5, 1] },
  ];
  const texts = makeTexts(plans, encode);
  for (const { tokens, keys, depths, questions } of texts) {
    expect(questions.map(({ depth }) => depth)).toEqual(depths);
    for (const { prompt, depth, expected } of questions) {
      expect(prompt.length).toBeLessThanOrEqual(tokens);
      expect(prompt.length).toBeGreaterThan(tokens - 200);
      const text = tokenizer.decode(prompt);
      expect(text.match(/Remember: .*? is \d{5}\./g)).toHaveLength(keys);
      expect(text).toMatch(/Do you remember [^?]*\?$/);
      const fact = `${expected[0]?.toLowerCase()}${expected.slice(1)}`;
      expect(Math.abs(text.indexOf(`Remember: ${fact}`) / text.length - depth)).toBeLessThan(0.15);
    }
  }
  const again = makeTexts(plans, encode);
  expect(again).toEqual(texts);
});

const cell: Cell = {
  attention: "sparse",
  length: 512,
  keys: 1,
  depth: 0,
  items: 4,
  right: 3,
  prefillTps: 1000,
  decodeTps: 100.4,
};
const report: NeedleReport = {
  model: "made",
  weights: "0123456789abcdef0123",
  kvType: "f16",
  processor: "a processor",
  isa: "avx2",
  threads: 2,
  trainedLength: 1024,
  rule: "a rule",
  cells: [
    { ...cell, attention: "dense", right: 4 },
    cell,
    { ...cell, depth: 1, right: 0 },
    { ...cell, length: 2048 },
  ],
};

test("the table has a row a length and attention, and says how far sparse is from dense", () => {
  const text = needleMarkdown(report).join("\n");
  expect(text).toContain(
    "made, weights sha256 0123456789abcdef, KV f16, greedy; a processor, avx2, 2 threads.",
  );
  expect(text).toContain("| 512 | 1 | sparse | 8 | 38 | 75 | 0 | 1000 | 100 |");
  expect(text).toContain("| 512 | 1 | dense | 4 | 100 | 100 |  | 1000 | 100 |");
  expect(text.indexOf("| 512 | 1 | sparse")).toBeLessThan(text.indexOf("| 512 | 1 | dense"));
  // Of the depth that both have.
  expect(text).toContain("Up to 1024 tokens: sparse 75 %, dense 100 % found.");
  expect(text).not.toContain("Beyond");
});

test("the drawing has a panel a kind, a square a cell, and a line behind the trained length", () => {
  const svg = needleChart(report);
  expect(svg).toContain(">sparse, 1 key<");
  expect(svg).toContain(">dense, 1 key<");
  expect(svg.match(/fill="hsl/g)).toHaveLength(4);
  expect(svg.match(/stroke-dasharray/g)).toHaveLength(2);
  const squares = [{ length: 512, depth: 0, share: 1 }];
  const within = heatMap({ title: "", notes: [], panels: [{ title: "", squares }], trainedLength: 1024 });
  expect(within).toContain("hsl(120,");
  expect(within).not.toContain("stroke-dasharray");
});

withBoth("a run writes what it finds, and the next one runs only what is missing", () => {
  const folder = mkdtempSync(join(tmpdir(), "minicpm-needle-"));
  const out = join(folder, "needle");
  const run = (...words: string[]) => {
    const script = ["bench/run.mjs", "bench/needle.ts", "nano", "--out", out, "--items", "1", ...words];
    const { status, stdout, stderr } = spawnSync(process.execPath, script, { cwd: root, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    return stdout;
  };
  try {
    const little = ["--keys", "2", "--depths", "0,1"];
    expect(run("--lengths", "192", ...little)).toMatch(/^\| 192 \| 2 \| sparse \| 2 \|/m);
    const held = JSON.parse(readFileSync(`${out}.json`, "utf8"));
    expect(held.cells).toHaveLength(4);
    held.cells[0].right = 77;
    writeFileSync(`${out}.json`, JSON.stringify(held));
    run("--lengths", "192,256", ...little);
    const after: NeedleReport = JSON.parse(readFileSync(`${out}.json`, "utf8"));
    expect(after.cells.map(({ length, right }) => `${length} ${right === 77}`).sort()).toEqual(
      [...Array(3).fill("192 false"), "192 true", ...Array(4).fill("256 false")].sort(),
    );
    expect(readFileSync(`${out}.md`, "utf8")).toContain("| 256 | 2 | dense |");
    expect(readFileSync(`${out}.svg`, "utf8")).toContain("<svg");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
