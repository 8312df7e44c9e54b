/** The grid as a table and as heat maps. */
import { lengthText } from "../../src/bench/line-chart.ts";
import { distinct } from "../../src/bench/statistics.ts";
import type { Cell } from "./grid.ts";
import { heatMap } from "./heat-map.ts";

export interface NeedleReport {
  readonly model: string;
  /** SHA-256 of the weights. */
  readonly weights: string;
  readonly kvType: string;
  readonly processor: string;
  readonly isa: string;
  readonly threads: number;
  /** Tokens of the longest texts it was trained on: its max_position_embeddings. */
  readonly trainedLength: number;
  /** The rule of sparse attention, in words. */
  readonly rule: string;
  readonly cells: readonly Cell[];
}

export function needleMarkdown(report: NeedleReport): string[] {
  const { cells } = report;
  const depths = distinct(cells.map(({ depth }) => depth));
  return [
    ...about(report),
    "",
    "Percent found; prefill and decode in tokens a second, decode of answers of a sentence.",
    "",
    `| tokens | keys | attention | items | all | ${depths.map((depth) => `at ${percent(depth)} %`).join(" | ")} | prefill | decode |`,
    `| ---: | ---: | --- | ---: | ---: |${" ---: |".repeat(depths.length + 2)}`,
    ...rowsOf(cells).map((row) => tableRow(row, depths)),
    "",
    ...comparison(report),
  ];
}

export function needleChart(report: NeedleReport): string {
  const { cells, trainedLength } = report;
  const panels = distinct(cells.map(({ keys }) => keys)).flatMap((keys) =>
    (["sparse", "dense"] as const).flatMap((attention) => {
      const mine = cells.filter((cell) => cell.keys === keys && cell.attention === attention);
      if (mine.length === 0) return [];
      return {
        title: `${attention}, ${keys} ${keys === 1 ? "key" : "keys"}`,
        squares: mine.map(({ length, depth, items, right }) => ({ length, depth, share: right / items })),
      };
    }),
  );
  const notes = [
    ...about(report),
    `Percent found; behind the dashed line texts are longer than the ${trainedLength} tokens it was made for.`,
  ];
  return heatMap({ title: "Needles in texts of held-out words", notes, panels, trainedLength });
}

function about({ model, weights, kvType, rule, processor, isa, threads }: NeedleReport): string[] {
  return [
    `${model}, weights sha256 ${weights.slice(0, 16)}, KV ${kvType}, greedy; ${processor}, ${isa}, ${threads} threads.`,
    `Sparse: ${rule}.`,
  ];
}

/** How far sparse attention is from dense, within the trained length and beyond it: of cells that both have. */
function comparison({ cells, trainedLength }: NeedleReport): string[] {
  const texts = { within: "Up to", beyond: "Beyond" } as const;
  return (["within", "beyond"] as const).flatMap((where) => {
    const mine = cells.filter(
      (cell) =>
        cell.length <= trainedLength === (where === "within") && cells.some((each) => isOther(each, cell)),
    );
    const [sparse, dense] = (["sparse", "dense"] as const).map((attention) =>
      shareOf(mine.filter((cell) => cell.attention === attention)),
    );
    if (sparse === undefined || dense === undefined) return [];
    const numbers = `sparse ${percent(sparse)} %, dense ${percent(dense)} %`;
    return [`${texts[where]} ${trainedLength} tokens: ${numbers} found.`];
  });
}

/** The same square with the other attention. */
function isOther(a: Cell, b: Cell): boolean {
  const same = a.length === b.length && a.keys === b.keys && a.depth === b.depth;
  return same && a.attention !== b.attention;
}

/** Cells of one length, number of keys and attention, in the order of the table. */
function rowsOf(cells: readonly Cell[]): Cell[][] {
  const rows = new Map<string, Cell[]>();
  const order = (cell: Cell) => cell.keys * 1e9 + cell.length * 10 + (cell.attention === "sparse" ? 0 : 1);
  for (const cell of cells.toSorted((a, b) => order(a) - order(b))) {
    const key = String(order(cell));
    rows.set(key, [...(rows.get(key) ?? []), cell]);
  }
  return [...rows.values()];
}

function tableRow(row: readonly Cell[], depths: readonly number[]): string {
  const [first] = row;
  if (!first) return "";
  const items = row.reduce((sum, cell) => sum + cell.items, 0);
  const at = depths.map((depth) => percent(shareOf(row.filter((cell) => cell.depth === depth))));
  const { length, keys, attention, prefillTps, decodeTps } = first;
  const speeds = [prefillTps.toFixed(0), decodeTps.toFixed(0)];
  return `| ${[lengthText(length), keys, attention, items, percent(shareOf(row)), ...at, ...speeds].join(" | ")} |`;
}

/** Of the items of all cells; undefined where there are none. */
function shareOf(cells: readonly Cell[]): number | undefined {
  const items = cells.reduce((sum, cell) => sum + cell.items, 0);
  return items === 0 ? undefined : cells.reduce((sum, cell) => sum + cell.right, 0) / items;
}

function percent(share: number | undefined): string {
  return share === undefined ? "" : (100 * share).toFixed(0);
}
