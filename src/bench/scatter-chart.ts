/** Named points of a few groups; x is logarithmic, y begins at 0. */
import { contentTop, fixed, svgFile, svgText } from "./svg.ts";

export interface ScatterChart {
  readonly title: string;
  /** Small lines under the title. */
  readonly notes: readonly string[];
  /** What the axes mean. */
  readonly x: string;
  readonly y: string;
  readonly points: readonly ScatterPoint[];
}

export interface ScatterPoint {
  /** Points of a group have one colour. */
  readonly group: string;
  readonly name: string;
  /** Above 0. */
  readonly x: number;
  /** 0 or more. */
  readonly y: number;
}

const width = 820;
const plot = { left: 64, width: 600, height: 380 };
const colours = ["#2563eb", "#dc2626", "#16a34a", "#9333ea", "#ea580c"];

export function scatterChart({ title, notes, x, y, points }: ScatterChart): string {
  const top = contentTop(notes) + 12;
  const bottom = top + plot.height;
  const decades = points.map((point) => Math.log10(point.x));
  const first = Math.floor(Math.min(...decades));
  const last = Math.max(Math.ceil(Math.max(...decades)), first + 1);
  const most = niceCeiling(Math.max(...points.map((point) => point.y)));
  const atX = (value: number) => plot.left + (plot.width * (Math.log10(value) - first)) / (last - first);
  const atY = (value: number) => bottom - (plot.height * value) / most;
  const groups = [...new Set(points.map(({ group }) => group))];
  const colour = (group: string) => colours[groups.indexOf(group) % colours.length] ?? "#000000";
  const exponents = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return svgFile({ width, height: bottom + 56 }, { title, notes }, [
    ...[0, 1, 2, 3, 4].flatMap((tick) => {
      const value = (most * tick) / 4;
      return [
        `<path d="M${plot.left} ${fixed(atY(value))}h${plot.width}" stroke="#e5e7eb"/>`,
        svgText(plot.left - 8, atY(value) + 4, String(value), 'text-anchor="end" fill="#4b5563"'),
      ];
    }),
    ...exponents.flatMap((exponent) => [
      `<path d="M${fixed(atX(10 ** exponent))} ${top}v${plot.height}" stroke="#e5e7eb"/>`,
      svgText(atX(10 ** exponent), bottom + 18, `1e${exponent}`, 'text-anchor="middle" fill="#4b5563"'),
    ]),
    svgText(plot.left + plot.width / 2, bottom + 40, x, 'text-anchor="middle"'),
    svgText(plot.left, top - 6, y),
    ...points.flatMap((point) => [
      `<circle cx="${fixed(atX(point.x))}" cy="${fixed(atY(point.y))}" r="5" fill="${colour(point.group)}"/>`,
      svgText(atX(point.x) + 8, atY(point.y) + 4, point.name, `fill="${colour(point.group)}" font-size="11"`),
    ]),
    ...groups.map((group, i) =>
      svgText(
        plot.left + plot.width + 16,
        top + 16 + 18 * i,
        group,
        `fill="${colour(group)}" font-weight="bold"`,
      ),
    ),
  ]);
}

/** The least of 1, 2, 4 or 8 times a power of ten that is no smaller. */
function niceCeiling(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return ([1, 2, 4, 8, 10].find((step) => step * unit >= value) ?? 10) * unit;
}
