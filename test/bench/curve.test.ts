import { expect, test } from "vitest";
import {
  type CurveEngine,
  type CurveLine,
  type CurveOptions,
  type CurvePoint,
  fittedPoints,
  lineName,
  linesOf,
  measureLine,
} from "../../src/bench/curve.ts";
import { curveChart, curveMarkdown } from "../../src/bench/curve-report.ts";
import type { Workload } from "../../src/bench/workload.ts";

const line: CurveLine = {
  model: "made",
  engine: "minicpm",
  attention: "sparse",
  kvType: "f16",
  sparseFrom: 1000,
  most: 4000,
  spec: () => {
    throw new Error("no process here");
  },
};

const usual: Omit<CurveOptions, "onPoint"> = {
  lengths: [500, 1000, 2000, 4000, 8000],
  prompt: 100,
  generate: 10,
  rounds: 2,
  budget: 1e9,
  onStep: () => {},
};

/** Takes 1 ms a token and 1 us more for each before it; the second variant half of that. */
function madeEngine(log: string[] = [], fails: (workload: Workload) => string | undefined = () => undefined) {
  return {
    about: { engine: "made", backend: "", threads: 2, loadSeconds: 0, variants: ["slow", "fast"] },
    memoryBytes: 77,
    measure: async (workload, variant, round) => {
      const code = fails(workload);
      if (code) throw Object.assign(new Error(code), { code });
      const depth = "depth" in workload ? workload.depth : 0;
      log.push(`${workload.kind} ${depth} ${variant} ${round}`);
      const seconds = (1e-3 + 1e-6 * depth) / (variant + 1) / (round === 0 ? 10 : 1);
      return { seconds, tokensPerSecond: 1 / seconds, plannedBytes: 1000 + depth };
    },
    close: async () => {},
  } satisfies CurveEngine;
}

async function measured(
  options: Partial<CurveOptions> = {},
  engine = madeEngine(),
  known: CurvePoint[] = [],
) {
  const points: CurvePoint[] = [];
  await measureLine(line, engine, known, { ...usual, onPoint: (point) => points.push(point), ...options });
  return points;
}

test("every length up to the line's most is measured, prefill before decode, by the faster variant", async () => {
  const points = await measured();
  expect(points.map(({ test: kind, length }) => `${kind} ${length}`)).toEqual(
    [500, 1000, 2000, 4000].flatMap((length) => [`prefill ${length}`, `decode ${length}`]),
  );
  expect(points.every(({ variant, fitted }) => variant === "fast" && !fitted)).toBe(true);
  expect(points[1]).toMatchObject({ kv_type: "f16", threads: 2, process_bytes: 77, memory_bytes: 1500 });
  expect(points[1]?.samples).toHaveLength(2);
  expect(points[1]?.tokens_per_second).toBeCloseTo(2 / 1.5e-3, 6);
});

test("a prompt piece ends at its length, a decode begins there, and the warm-up does not count", async () => {
  const log: string[] = [];
  const points = await measured({ lengths: [50, 500], rounds: 1 }, madeEngine(log));
  expect(log.filter((entry) => entry.endsWith("0 0"))).toEqual([
    "prompt 0 0 0",
    "generate 50 0 0",
    "prompt 400 0 0",
    "generate 500 0 0",
  ]);
  expect(points.every(({ tokens_per_second: rate }) => rate < 3000)).toBe(true);
});

test("points that are known are not measured again, fitted ones are", async () => {
  const all = await measured();
  const log: string[] = [];
  const known = [...all.slice(0, 7), { ...(all[7] as CurvePoint), fitted: true }];
  const points = await measured({}, madeEngine(log), known);
  expect(points.map(({ test: kind, length }) => `${kind} ${length}`)).toEqual(["decode 4000"]);
  expect(new Set(log.map((entry) => entry.split(" ")[1]))).toEqual(new Set(["4000"]));
});

test("a test whose budget is spent ends, and so does one that memory has no room for; others' errors are theirs", async () => {
  const points = await measured({ budget: 0 });
  expect(points.map(({ length }) => length)).toEqual([500, 500]);
  const full = madeEngine([], ({ kind, ...rest }) =>
    kind === "generate" && "depth" in rest && rest.depth > 600 ? "OUT_OF_MEMORY" : undefined,
  );
  const some = await measured({}, full);
  expect(some.filter(({ test: kind }) => kind === "decode").map(({ length }) => length)).toEqual([500]);
  expect(some.filter(({ test: kind }) => kind === "prefill")).toHaveLength(4);
  await expect(
    measured(
      {},
      madeEngine([], () => "STATE"),
    ),
  ).rejects.toThrow("STATE");
});

/** Of a dense line, at these lengths. */
async function dense(lengths: readonly number[]) {
  const points = await measured({ lengths, onPoint: () => {} });
  expect(points).toEqual([]);
  const found: CurvePoint[] = [];
  const options = { ...usual, lengths, onPoint: (point: CurvePoint) => found.push(point) };
  await measureLine({ ...line, attention: "dense", sparseFrom: undefined }, madeEngine(), [], options);
  return found;
}

test("missing lengths are fitted by the line through the measured ones, and say so", async () => {
  const points = await dense([500, 1000, 2000]);
  const fitted = fittedPoints(points, [500, 1000, 2000, 100_000]);
  expect(fitted.map(({ test: kind, length }) => `${kind} ${length}`)).toEqual([
    "prefill 100000",
    "decode 100000",
  ]);
  const [, decode] = fitted;
  expect(decode).toMatchObject({ fitted: true, samples: [], profile: null, memory_bytes: 101_000 });
  expect(decode?.tokens_per_second).toBeCloseTo(2 / (1e-3 + 1e-6 * 100_000), 6);
});

test("sparse attention is not fitted from dense points, nor anything from two", async () => {
  expect(fittedPoints(await measured({ lengths: [300, 500, 1000] }), [8000])).toEqual([]);
  expect(fittedPoints(await dense([500, 1000]), [8000])).toEqual([]);
  expect(fittedPoints(await measured({ lengths: [1500, 2000, 4000] }), [8000])).toHaveLength(2);
});

test("the report has a row a line, a column a length, a mark on what is fitted, and the area under the pieces", async () => {
  const lengths = [1000, 2000, 4000, 8192];
  const found = [...(await dense(lengths.slice(0, 3))), ...(await measured({ lengths: [1000] }))];
  const points = [...found, ...fittedPoints(found, lengths)];
  const text = curveMarkdown({ points, lengths, notes: ["A note."] }).join("\n");
  expect(text).toContain("A note.");
  expect(text).toContain("|  | 1000 | 2000 | 4000 | 8K |");
  expect(text).toMatch(/^\| made, dense, KV f16 \| 1000 \| 667 \| 400 \| ~218 \|$/m);
  expect(text).toMatch(/^\| made, sparse, KV f16 \| 1000 \|\s+\|\s+\|\s+\|$/m);
  // Prefill takes 0.5 (1 + 0.9) ms a token at 1000: a second less 5 % for all of them.
  expect(text).toMatch(/^\| made, dense, KV f16 \| ~0\.95 \| ~2\.15 \|/m);
  expect(text).not.toContain("Where the time");
});

test("shares of time and bytes over the least are told of points that have them", async () => {
  const kinds = ["embed", "rms_norm", "linear", "quantize_rows", "rope", "kv_append", "pool_keys"] as const;
  const counts = { calls: 1, seconds: 0, bytes: 0 };
  const others = Object.fromEntries(kinds.map((kind) => [kind, counts]));
  const profile = {
    ...others,
    linear: { calls: 1, seconds: 6, bytes: 1000 },
    attention: { calls: 1, seconds: 3, bytes: 150 },
    score_blocks: { calls: 1, seconds: 0.5, bytes: 60 },
    select_blocks: { calls: 1, seconds: 0.5, bytes: 0 },
    silu_mul: counts,
  } as unknown as NonNullable<CurvePoint["profile"]>;
  const [, decode] = await measured({ lengths: [1024] });
  const points = [{ ...(decode as CurvePoint), profile, least_bytes: 1200 }];
  const text = curveMarkdown({ points, lengths: [1024], notes: [] }).join("\n");
  expect(text).toContain(
    "| made, sparse, KV f16 | 1K | 60.0 % | 30.0 % | 10.0 % | 0.0 % | 0.0 % | 1.01 | 1.05 |",
  );
});

test("the drawing has each line in both panels, and hollow marks where fitted", async () => {
  const found = await dense([1000, 2000, 4000]);
  const points = [...found, ...fittedPoints(found, [8000])];
  const svg = curveChart({ points, lengths: [1000, 8000], notes: [] });
  expect(svg.match(/<circle/g)).toHaveLength(2 * 4);
  expect(svg.match(/<circle[^>]*fill="#ffffff"/g)).toHaveLength(2);
  expect(svg.match(/stroke-dasharray/g)).toHaveLength(2);
  expect(svg.match(/made, dense, KV f16/g)).toHaveLength(2);
});

test("lines keep the order in which they came, and their points that of the lengths", async () => {
  const points = [...(await dense([1000])), ...(await measured({ lengths: [500, 1000] }))];
  const lines = linesOf(points.toReversed());
  expect(lines.map(([point]) => lineName(point as CurvePoint))).toEqual([
    "made, sparse, KV f16",
    "made, dense, KV f16",
  ]);
  expect(lines[0]?.map(({ length }) => length)).toEqual([500, 500, 1000, 1000]);
});
