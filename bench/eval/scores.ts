/** Marks added up, and the tables they make. */
import type { Asked } from "./ask.ts";
import type { Needle } from "./items.ts";
import { type Mark, marks, type Rules } from "./rules.ts";

export interface Score {
  readonly row: string;
  readonly split: string;
  /** Percent right. */
  readonly percent: number;
  readonly items: number;
  /** Where the row is of needles: the length to the nearest 256 tokens. */
  readonly needle?: Needle;
}

/** The order of the rows; what is not here comes after, as it was met. */
const order = [
  ...["knowledge", "chat", "JSON exact", "JSON valid", "tool name", "tool parameters", "tool values"],
  ...["no call", "after result"],
];

/** A score for each row and split, needles by length, keys and depth. What was left out is wrong. */
export function scores(asked: readonly Asked[], rules: Rules): Score[] {
  const found = new Map<
    string,
    { mark: Mark; split: string; needle?: Needle; right: number; items: number }
  >();
  for (const { item, answer, expected, leftOut } of asked) {
    for (const mark of marks(item, answer, expected, rules)) {
      const { split } = item;
      const needle = item.needle && rounded(item.needle);
      const key = JSON.stringify([mark.row, split, needle]);
      const sum = found.get(key) ?? { mark, split, right: 0, items: 0, ...(needle && { needle }) };
      sum.right += mark.right && leftOut === undefined ? 1 : 0;
      sum.items++;
      found.set(key, sum);
    }
  }
  return [...found.values()].map(({ mark, split, needle, right, items }) => ({
    row: mark.row,
    split,
    percent: Math.round((1000 * right) / items) / 10,
    items,
    ...(needle && { needle }),
  }));
}

function rounded({ tokens, depth, keys }: Needle): Needle {
  return { tokens: 256 * Math.max(1, Math.round(tokens / 256)), depth, keys };
}

/** Rows by split, then needles by length and keys with a column for each depth. */
export function tables(all: readonly Score[]): string[] {
  const plain = all.filter(({ needle }) => !needle);
  const needles = all.filter(({ needle }) => needle);
  return [
    ...(plain.length > 0 ? rowTable(plain) : []),
    ...(needles.length > 0 ? ["", ...needleTable(needles)] : []),
  ];
}

function rowTable(all: readonly Score[]): string[] {
  const splits = distinct(all.map(({ split }) => split));
  const rows = distinct([...order, ...all.map(({ row }) => row)]).filter((row) =>
    all.some((one) => one.row === row),
  );
  return [
    `| | ${splits.join(" | ")} |`,
    `| --- |${" ---: |".repeat(splits.length)}`,
    ...rows.map((row) => {
      const cells = splits.map((split) => cell(all.filter((one) => one.row === row && one.split === split)));
      return `| ${row} | ${cells.join(" | ")} |`;
    }),
  ];
}

function needleTable(all: readonly Score[]): string[] {
  const needle = (score: Score) => score.needle as Needle;
  const depths = distinct(all.map((score) => needle(score).depth)).sort((a, b) => a - b);
  const groups = distinct(
    all.map((score) => JSON.stringify([score.split, needle(score).tokens, needle(score).keys])),
  ).map((key) => JSON.parse(key) as [string, number, number]);
  groups.sort((a, b) => a[0].localeCompare(b[0]) || a[1] - b[1] || a[2] - b[2]);
  return [
    `| needle, tokens | keys | split | all depths | ${depths.map((depth) => `at ${(100 * depth).toFixed(0)} %`).join(" | ")} |`,
    `| ---: | ---: | --- |${" ---: |".repeat(depths.length + 1)}`,
    ...groups.map(([split, tokens, keys]) => {
      const mine = all.filter(
        (score) => score.split === split && needle(score).tokens === tokens && needle(score).keys === keys,
      );
      const cells = depths.map((depth) => percentOf(mine.filter((score) => needle(score).depth === depth)));
      return `| ${tokens} | ${keys} | ${split} | ${cell(mine)} | ${cells.join(" | ")} |`;
    }),
  ];
}

/** `94.1 (17)`: percent and number of items. */
function cell(some: readonly Score[]): string {
  return some.length === 0 ? "" : `${percentOf(some)} (${itemsOf(some)})`;
}

function percentOf(some: readonly Score[]): string {
  const right = some.reduce((sum, score) => sum + score.percent * score.items, 0);
  return some.length === 0 ? "" : (right / itemsOf(some)).toFixed(1);
}

function itemsOf(some: readonly Score[]): number {
  return some.reduce((sum, score) => sum + score.items, 0);
}

function distinct<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)];
}
