/** Panels of coloured squares: length across, depth down, red where nothing is found, green where everything is. */
import { lengthText } from "../../src/bench/line-chart.ts";
import { distinct } from "../../src/bench/statistics.ts";
import { contentTop, fixed, svgFile, svgText } from "../../src/bench/svg.ts";

export interface HeatMap {
  readonly title: string;
  readonly notes: readonly string[];
  readonly panels: readonly HeatPanel[];
  /** A line is drawn behind the last length up to this one, tokens. */
  readonly trainedLength: number;
}

export interface HeatPanel {
  readonly title: string;
  readonly squares: readonly HeatSquare[];
}

export interface HeatSquare {
  readonly length: number;
  readonly depth: number;
  /** 0 to 1. */
  readonly share: number;
}

const left = 64;
const square = { width: 56, height: 26 };

export function heatMap({ title, notes, panels, trainedLength }: HeatMap): string {
  const top = contentTop(notes);
  const lengths = distinct(panels.flatMap(({ squares }) => squares.map(({ length }) => length)));
  const depths = distinct(panels.flatMap(({ squares }) => squares.map(({ depth }) => depth)));
  const panelHeight = depths.length * square.height + 60;
  const width = Math.max(720, left + lengths.length * square.width + 24);
  const content = panels.flatMap((panel, i) => {
    const y = top + i * panelHeight + 24;
    return [...drawnPanel(panel, lengths, depths, y), ...trainedLine(lengths, depths, trainedLength, y)];
  });
  return svgFile({ width, height: top + panels.length * panelHeight + 8 }, { title, notes }, content);
}

function drawnPanel(
  { title, squares }: HeatPanel,
  lengths: readonly number[],
  depths: readonly number[],
  top: number,
): string[] {
  const bottom = top + depths.length * square.height + 16;
  return [
    svgText(left, top - 8, title, 'font-weight="bold"'),
    ...depths.map((depth, i) =>
      svgText(left - 8, top + i * square.height + 17, `${Math.round(100 * depth)} %`, 'text-anchor="end"'),
    ),
    ...lengths.map((length, i) =>
      svgText(left + (i + 0.5) * square.width, bottom, lengthText(length), 'text-anchor="middle"'),
    ),
    ...squares.flatMap(({ length, depth, share }) => {
      const x = left + lengths.indexOf(length) * square.width;
      const y = top + depths.indexOf(depth) * square.height;
      const size = `width="${square.width - 2}" height="${square.height - 2}"`;
      const text = svgText(
        x + square.width / 2 - 1,
        y + 16,
        (100 * share).toFixed(0),
        'text-anchor="middle"',
      );
      return [`<rect x="${fixed(x)}" y="${fixed(y)}" ${size} fill="${colour(share)}"/>`, text];
    }),
  ];
}

/** Between what the model was trained on and what is longer; nothing where all is one of them. */
function trainedLine(
  lengths: readonly number[],
  depths: readonly number[],
  trained: number,
  top: number,
): string[] {
  const within = lengths.filter((length) => length <= trained).length;
  if (within === 0 || within === lengths.length) return [];
  const x = left + within * square.width - 1;
  return [
    `<path d="M${fixed(x)} ${fixed(top - 4)}v${depths.length * square.height + 6}" stroke="#111827" stroke-dasharray="3 2"/>`,
  ];
}

/** Red, yellow, green. */
function colour(share: number): string {
  return `hsl(${fixed(120 * share)},70%,60%)`;
}
