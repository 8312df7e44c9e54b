/** Curves as Markdown tables and as a drawing. */
import type { OpKind, OpProfile } from "../native/binding.ts";
import { type CurvePoint, type CurveTest, lineName, linesOf } from "./curve.ts";
import { areaUnder } from "./curve-fit.ts";
import { type Line, lengthText, lineChart } from "./line-chart.ts";

export interface CurveReport {
  /** Measured and fitted. */
  readonly points: readonly CurvePoint[];
  readonly lengths: readonly number[];
  /** Sentences. */
  readonly notes: readonly string[];
}

/** Shares of time, by what a reader asks for. */
const parts: readonly { readonly title: string; readonly kinds: readonly OpKind[] }[] = [
  { title: "linear layers", kinds: ["linear", "quantize_rows"] },
  { title: "attention", kinds: ["attention"] },
  { title: "selection", kinds: ["score_blocks", "select_blocks"] },
  { title: "pooling", kinds: ["pool_keys"] },
  { title: "the rest", kinds: ["embed", "rms_norm", "rope", "kv_append", "silu_mul"] },
];

export function curveMarkdown(report: CurveReport): string[] {
  const { points, notes } = report;
  const [first] = points;
  return [
    first ? `${first.cpu}, ${first.threads} threads.` : "Nothing was measured.",
    ...notes,
    "~ is fitted, not measured: seconds a token as an affine function of the tokens before it, from the measured points.",
    ...section(report, "Decode, tokens a second, behind so many tokens", (point) => rate(point), "decode"),
    ...section(
      report,
      "Prefill, tokens a second, of a piece that ends at so many tokens",
      (point) => rate(point),
      "prefill",
    ),
    ...section(
      report,
      "Reading all of so many tokens, seconds, summed from the pieces",
      (point, line) => `~${number(secondsBefore(point, line))}`,
      "prefill",
    ),
    ...section(
      report,
      "Memory, GiB: weights, keys and values and what else is planned for so many tokens",
      ({ memory_bytes: bytes }) => (bytes === null ? "" : (bytes / 2 ** 30).toFixed(2)),
      "decode",
    ),
    ...costs(report, "prefill", "Where the time of prefill goes"),
    ...costs(report, "decode", "Where the time of decode goes, and what a token reads"),
  ];
}

export function curveChart(report: CurveReport): string {
  const { points, notes } = report;
  const panel = (title: string, test: CurveTest) => ({
    title,
    lines: linesOfTest(report, test).map(
      (line): Line => ({
        name: nameOf(line),
        points: line.map(({ length, tokens_per_second, fitted }) => ({
          x: length,
          y: tokens_per_second,
          fitted,
        })),
      }),
    ),
  });
  const [first] = points;
  return lineChart({
    title: "Speed over the length of the context",
    notes: [
      ...(first ? [`${first.cpu}, ${first.threads} threads. Hollow points are fitted, not measured.`] : []),
      ...notes,
    ],
    panels: [panel("Decode, tokens a second", "decode"), panel("Prefill, tokens a second there", "prefill")],
  });
}

/** Each line's points of one test, in the order of their lengths. */
function linesOfTest({ points }: CurveReport, test: CurveTest): CurvePoint[][] {
  return linesOf(points.filter((point) => point.test === test));
}

function nameOf([point]: readonly CurvePoint[]): string {
  return point ? lineName(point) : "";
}

function secondsBefore({ length }: CurvePoint, line: readonly CurvePoint[]): number {
  return areaUnder(
    line.map((point) => ({ x: point.length, y: 1 / point.tokens_per_second })),
    length,
  );
}

/** A table with a row for each line and a column for each length. */
function section(
  report: CurveReport,
  title: string,
  cell: (point: CurvePoint, line: readonly CurvePoint[]) => string,
  test: CurveTest,
): string[] {
  const { lengths } = report;
  return [
    "",
    `## ${title}`,
    "",
    row(["", ...lengths.map(lengthText)]),
    row(["---", ...lengths.map(() => "---:")]),
    ...linesOfTest(report, test).map((line) => {
      const cells = lengths.map((length) => {
        const point = line.find((each) => each.length === length);
        return point ? cell(point, line) : "";
      });
      return row([nameOf(line), ...cells]);
    }),
  ];
}

/** Shares by kind of op and bytes beside the least, of the points that have them. */
function costs(report: CurveReport, test: CurveTest, title: string): string[] {
  const counted = linesOfTest(report, test)
    .flat()
    .filter((point) => point.profile !== null);
  if (counted.length === 0) return [];
  const withBytes = test === "decode";
  const heads = parts.map(({ title: name }) => name);
  return [
    "",
    `## ${title}`,
    "",
    row(["", "tokens", ...heads, ...(withBytes ? ["bytes read / least", "of KV alone"] : [])]),
    row(["---", "---:", ...heads.map(() => "---:"), ...(withBytes ? ["---:", "---:"] : [])]),
    ...counted.map((point) => {
      const profile = point.profile as OpProfile;
      const all = secondsOf(profile, Object.keys(profile) as OpKind[]);
      const shares = parts.map(({ kinds }) => `${((100 * secondsOf(profile, kinds)) / all).toFixed(1)} %`);
      const bytes = withBytes ? byteRatios(profile, point.least_bytes ?? Number.NaN) : [];
      return row([lineName(point), lengthText(point.length), ...shares, ...bytes]);
    }),
  ];
}

/** What was read over what has to be: all of it, and without the weights, which are read once either way. */
function byteRatios(profile: OpProfile, least: number): string[] {
  const weights = profile.linear.bytes;
  const held = profile.attention.bytes + profile.score_blocks.bytes;
  return [(weights + held) / least, held / (least - weights)].map((ratio) => ratio.toFixed(2));
}

function secondsOf(profile: OpProfile, kinds: readonly OpKind[]): number {
  return kinds.reduce((sum, kind) => sum + profile[kind].seconds, 0);
}

function rate({ tokens_per_second, fitted }: CurvePoint): string {
  return `${fitted ? "~" : ""}${number(tokens_per_second)}`;
}

/** Three digits at least. */
function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
