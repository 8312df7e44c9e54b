/** How `minicpm bench` prints what it measured of one model. */
import { csvHeader, csvRow, markdownHeader, markdownRow, opLines, type Row } from "../bench/report.ts";
import { escaped } from "./printable.ts";
import type { Terminal } from "./terminal.ts";

export const outputs = ["md", "json", "jsonl", "csv"] as const;
export type Output = (typeof outputs)[number];

/** Prints rows as they come; JSON is one list, at the end. */
export function rowPrinter(terminal: Terminal, output: Output) {
  const rows: Row[] = [];
  const print = {
    md: (row: Row) => {
      if (rows.length === 1) for (const line of markdownHeader()) terminal.line(line);
      terminal.line(escaped(markdownRow(row)));
    },
    csv: (row: Row) => {
      if (rows.length === 1) terminal.line(csvHeader(row));
      terminal.line(escaped(csvRow(row)));
    },
    jsonl: (row: Row) => terminal.json(row),
    json: () => {},
  }[output];
  return {
    row: (row: Row) => {
      rows.push(row);
      print(row);
    },
    end: () => {
      if (output === "json") terminal.json(rows);
      if (output === "md") for (const line of rows.flatMap(opLines)) terminal.line(line);
    },
  };
}
