/** Two bars a row as SVG: a value beside the one it is compared with, whose bars are all of one length. */

import { contentTop, fixed, svgFile, svgText } from "./svg.ts";

export interface BarChart {
  readonly title: string;
  /** Small lines under the title. */
  readonly notes: readonly string[];
  readonly rows: readonly BarRow[];
}

export interface BarRow {
  readonly name: string;
  readonly ours: Bar;
  readonly theirs: Bar;
}

export interface Bar {
  /** In lengths of the other one. */
  readonly length: number;
  /** Where the length may lie, drawn as a line. */
  readonly least?: number;
  readonly most?: number;
  /** Written behind the bar. */
  readonly label: string;
}

const width = 760;
const left = 150;
/** Room for labels behind the longest bar. */
const right = 240;
const barHeight = 16;
const rowHeight = 2 * barHeight + 18;
const colours = { ours: "#2563eb", theirs: "#9ca3af", line: "#111827" };

export function barChart({ title, notes, rows }: BarChart): string {
  const top = contentTop(notes);
  const height = top + rowHeight * rows.length + 8;
  const longest = Math.max(1, ...rows.flatMap(({ ours, theirs }) => [ours, theirs].map(reach)));
  const scale = (width - left - right) / longest;
  const lines = rows.flatMap(({ name, ours, theirs }, row) => {
    const y = top + rowHeight * row;
    return [
      svgText(left - 8, y + barHeight + 4, name, 'text-anchor="end"'),
      ...bar(ours, y, scale, colours.ours),
      ...bar(theirs, y + barHeight + 2, scale, colours.theirs),
    ];
  });
  return svgFile({ width, height }, { title, notes }, lines);
}

function reach({ length, most = length }: Bar): number {
  return Math.max(length, most);
}

function bar(of: Bar, y: number, scale: number, colour: string): string[] {
  const { length, least, most, label } = of;
  const end = left + length * scale;
  const middle = y + barHeight / 2;
  const lines = [
    `<rect x="${left}" y="${y}" width="${fixed(length * scale)}" height="${barHeight}" fill="${colour}"/>`,
  ];
  if (least !== undefined && most !== undefined) {
    const [from, to] = [fixed(left + least * scale), fixed(left + most * scale)];
    lines.push(
      `<path d="M${from} ${middle}H${to}M${from} ${middle - 4}v8M${to} ${middle - 4}v8" stroke="${colours.line}" fill="none"/>`,
    );
  }
  lines.push(svgText(Math.max(end, left + reach(of) * scale) + 8, y + barHeight - 4, label));
  return lines;
}
