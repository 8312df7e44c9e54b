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
  readonly engines: readonly EngineReport[];
  /** What a reader has to know, as sentences. */
  readonly notes: readonly string[];
  readonly rows: readonly VersusRow[];
}

export interface EngineReport {
  /** As the rows name it. */
  readonly is: string;
  readonly load_seconds: number;
  /** Most that its process held after a run, mapped files with it: bytes. */
  readonly memory_bytes: number;
}

/** A table for each pair of sides, below what holds for all. */
export function versusMarkdown(report: VersusReport): string[] {
  const tables = [...bySides(report.rows).values()].flatMap((rows) => [
    "",
    `ours: ${engineText(report, rows[0]?.ours_is)}  `,
    `theirs: ${engineText(report, rows[0]?.theirs_is)}`,
    "",
    ...table(rows),
  ]);
  return [...about(report), ...tables];
}

interface Column {
  readonly title: string;
  readonly left?: true;
  readonly cell: (row: VersusRow) => string;
}

/** One that has nothing to say is left out. */
const columns: readonly Column[] = [
  { title: "test", left: true, cell: ({ name }) => name },
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
  {
    title: "theirs of limit",
    cell: ({ theirs_share }) => (theirs_share === null ? "" : percent(theirs_share)),
  },
  { title: "ours with", left: true, cell: ({ ours_variant }) => ours_variant },
  { title: "theirs with", left: true, cell: ({ theirs_variant }) => theirs_variant },
];

function table(rows: readonly VersusRow[]): string[] {
  const shown = columns.filter(({ cell }) => rows.some((row) => cell(row) !== ""));
  const texts = shown.map(({ title, cell }) => [title, ...rows.map(cell)]);
  const padded = texts.map((cells, column) => {
    const width = Math.max(...cells.map(({ length }) => length));
    const { left } = shown[column] as Column;
    const rule = left ? "-".repeat(width) : `${"-".repeat(width - 1)}:`;
    const [title = "", ...others] = cells.map((cell) => (left ? cell.padEnd(width) : cell.padStart(width)));
    return [title, rule, ...others];
  });
  return Array.from(
    { length: rows.length + 2 },
    (_, i) => `| ${padded.map((cells) => cells[i]).join(" | ")} |`,
  );
}

export function versusChart(report: VersusReport): string {
  const [machine = "", ...notes] = about(report);
  const groups = [...bySides(report.rows).values()];
  // Where several pairs of sides stand in one chart, their rows carry the number of the pair.
  const mark = (group: number) => (groups.length > 1 ? `${group + 1}: ` : "");
  return barChart({
    title: "Tokens a second, theirs = 1",
    notes: [
      machine,
      ...groups.flatMap(([row], i) => [
        `${mark(i)}ours: ${row?.ours_is}`,
        `${mark(i)}theirs: ${row?.theirs_is}`,
      ]),
      ...notes,
    ],
    rows: groups.flatMap((rows, i) =>
      rows.map((row) => ({
        name: mark(i) + row.name,
        ours: {
          length: row.ratio,
          least: row.ratio_min,
          most: row.ratio_max,
          label: `${row.ours.toFixed(1)} t/s, ${row.ratio.toFixed(2)}x`,
        },
        theirs: { length: 1, label: `${row.theirs.toFixed(1)} t/s` },
      })),
    ),
  });
}

function about({ cpu, threads, scheduling, scheduling_is, rounds, notes }: VersusReport): string[] {
  return [
    `${cpu}, ${threads} threads, ${scheduling_is} (${scheduling}), median of ${rounds} ${rounds === 1 ? "round" : "rounds"}`,
    ...notes,
  ];
}

function engineText({ engines }: VersusReport, is = ""): string {
  const found = engines.find((engine) => engine.is === is);
  if (!found) return is;
  const { load_seconds, memory_bytes } = found;
  return `${is} (loaded in ${load_seconds.toFixed(2)} s, ${(memory_bytes / 2 ** 30).toFixed(2)} GiB)`;
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
