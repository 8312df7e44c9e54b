/** A comparison as Markdown, as one JSON object, and as a chart. */
import { barChart } from "./bar-chart.ts";
import type { VersusRow } from "./versus.ts";

export interface VersusReport {
  readonly cpu: string;
  readonly threads: number;
  /** As the kernel calls it. */
  readonly scheduling: string;
  /** In words. */
  readonly scheduling_is: string;
  readonly rounds: number;
  /** ISO 8601. */
  readonly time: string;
  /** What a reader has to know, as sentences. */
  readonly notes: readonly string[];
  readonly rows: readonly VersusRow[];
}

/** A table for each pair of sides, below what holds for all. */
export function versusMarkdown(report: VersusReport): string[] {
  const tables = [...bySides(report.rows).values()].flatMap((rows) => [
    "",
    `ours: ${rows[0]?.ours_is}  `,
    `theirs: ${rows[0]?.theirs_is}`,
    "",
    ...table(rows),
  ]);
  return [...about(report), ...tables];
}

const columns: readonly { readonly title: string; readonly cell: (row: VersusRow) => string }[] = [
  { title: "test", cell: ({ name }) => name },
  { title: "ours t/s", cell: ({ ours }) => ours.toFixed(2) },
  { title: "theirs t/s", cell: ({ theirs }) => theirs.toFixed(2) },
  { title: "ratio", cell: ({ ratio }) => `${ratio.toFixed(2)}x` },
  {
    title: "min - max",
    cell: ({ ratio_min, ratio_max }) => `${ratio_min.toFixed(2)} - ${ratio_max.toFixed(2)}`,
  },
  {
    title: "ours of limit",
    cell: ({ share, bound }) => (share === null ? "" : `${percent(share)} ${bound}`),
  },
  { title: "theirs", cell: ({ theirs_share }) => (theirs_share === null ? "" : percent(theirs_share)) },
  { title: "theirs with", cell: ({ theirs_variant }) => theirs_variant },
];

function table(rows: readonly VersusRow[]): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => cell(row))),
  ];
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isLeft = (column: number) => column === 0 || column === columns.length - 1;
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  const [titles = "", ...body] = cells.map((row) =>
    line(row.map((cell, i) => (isLeft(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))),
  );
  const rule = line(widths.map((width, i) => (isLeft(i) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)));
  return [titles, rule, ...body];
}

export function versusChart(report: VersusReport): string {
  const [machine = "", ...notes] = about(report);
  return barChart({
    title: "Tokens a second, theirs = 1",
    notes: [
      machine,
      ...[...bySides(report.rows).values()].flatMap(([row]) => [
        `ours: ${row?.ours_is}`,
        `theirs: ${row?.theirs_is}`,
      ]),
      ...notes,
    ],
    rows: report.rows.map((row) => ({
      name: row.name,
      ours: {
        length: row.ratio,
        least: row.ratio_min,
        most: row.ratio_max,
        label: `${row.ours.toFixed(1)} t/s, ${row.ratio.toFixed(2)}x`,
      },
      theirs: { length: 1, label: `${row.theirs.toFixed(1)} t/s` },
    })),
  });
}

function about({ cpu, threads, scheduling, scheduling_is, rounds, notes }: VersusReport): string[] {
  return [
    `${cpu}, ${threads} threads, ${scheduling_is} (${scheduling}), median of ${rounds} rounds`,
    ...notes,
  ];
}

/** Rows that compare the same two things. */
function bySides(rows: readonly VersusRow[]): ReadonlyMap<string, readonly VersusRow[]> {
  const groups = new Map<string, VersusRow[]>();
  for (const row of rows) {
    const sides = `${row.ours_is}\n${row.theirs_is}`;
    groups.set(sides, [...(groups.get(sides) ?? []), row]);
  }
  return groups;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
