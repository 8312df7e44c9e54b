/** Panels of lines over a length that doubles from tick to tick, both axes logarithmic; fitted points are hollow. */
import { contentTop, fixed, svgFile, svgText } from "./svg.ts";

export interface LineChart {
  readonly title: string;
  /** Small lines under the title. */
  readonly notes: readonly string[];
  readonly panels: readonly LinePanel[];
}

export interface LinePanel {
  readonly title: string;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly name: string;
  /** In the order of x, both above 0. */
  readonly points: readonly LinePoint[];
}

export interface LinePoint {
  readonly x: number;
  readonly y: number;
  /** Not measured: drawn hollow, and dashed towards it. */
  readonly fitted: boolean;
}

const width = 940;
const plot = { left: 64, width: 470, height: 300 };
const panelHeight = plot.height + 64;
const colours = ["#2563eb", "#dc2626", "#16a34a", "#9333ea", "#ea580c", "#0891b2", "#4b5563", "#a16207"];

export function lineChart({ title, notes, panels }: LineChart): string {
  const top = contentTop(notes);
  const height = top + panels.length * panelHeight + 8;
  const content = panels.flatMap((panel, i) => drawnPanel(panel, top + i * panelHeight + 24));
  return svgFile({ width, height }, { title, notes }, content);
}

function drawnPanel({ title, lines }: LinePanel, top: number): string[] {
  const points = lines.flatMap((line) => line.points);
  if (points.length === 0) return [svgText(plot.left, top - 8, `${title}: nothing`)];
  const x = axis(
    points.map((point) => point.x),
    plot.left,
    plot.left + plot.width,
    2,
  );
  const y = axis(
    points.map((point) => point.y),
    top + plot.height,
    top,
    10,
  );
  const right = plot.left + plot.width;
  return [
    svgText(plot.left, top - 8, title, 'font-weight="bold"'),
    ...y.ticks.flatMap((value) => [
      `<path d="M${plot.left} ${fixed(y.at(value))}H${right}" stroke="#e5e7eb"/>`,
      svgText(plot.left - 6, y.at(value) + 4, String(value), 'text-anchor="end"'),
    ]),
    ...x.ticks.flatMap((value) => [
      `<path d="M${fixed(x.at(value))} ${top}v${plot.height}" stroke="#f3f4f6"/>`,
      svgText(x.at(value), top + plot.height + 16, lengthText(value), 'text-anchor="middle"'),
    ]),
    ...lines.flatMap((line, i) => drawnLine(line, i, { x, y, top })),
  ];
}

interface Axis {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** From the first power of `base` at or below the values to the last at or above them. */
function axis(values: readonly number[], from: number, to: number, base: number): Axis {
  const exponent = (value: number) => Math.log(value) / Math.log(base);
  const rounded = (value: number) => Number(exponent(value).toFixed(9));
  const least = Math.floor(rounded(Math.min(...values)));
  const most = Math.max(least + 1, Math.ceil(rounded(Math.max(...values))));
  const ticks = Array.from({ length: most - least + 1 }, (_, i) => Number((base ** (least + i)).toFixed(6)));
  return { ticks, at: (value) => from + ((exponent(value) - least) / (most - least)) * (to - from) };
}

function drawnLine(
  { name, points }: Line,
  index: number,
  { x, y, top }: { readonly x: Axis; readonly y: Axis; readonly top: number },
): string[] {
  const colour = colours[index % colours.length] ?? "#000000";
  const place = (point: LinePoint) => `${fixed(x.at(point.x))} ${fixed(y.at(point.y))}`;
  const parts = points.slice(1).map((point, i) => {
    const dash = point.fitted ? ' stroke-dasharray="4 3"' : "";
    return `<path d="M${place(points[i] as LinePoint)}L${place(point)}" stroke="${colour}" fill="none"${dash}/>`;
  });
  const marks = points.map((point) => {
    const fill = point.fitted ? "#ffffff" : colour;
    return `<circle cx="${fixed(x.at(point.x))}" cy="${fixed(y.at(point.y))}" r="3.5" fill="${fill}" stroke="${colour}"/>`;
  });
  const legend = plot.left + plot.width + 16;
  return [
    ...parts,
    ...marks,
    `<path d="M${legend} ${fixed(top + 8 + 18 * index)}h18" stroke="${colour}" stroke-width="2"/>`,
    svgText(legend + 24, top + 12 + 18 * index, name, 'font-size="11"'),
  ];
}

/** 512, 1K, 128K. */
export function lengthText(tokens: number): string {
  return tokens >= 1024 && tokens % 1024 === 0 ? `${tokens / 1024}K` : String(tokens);
}
