/** Rows of text set in columns, for inspect, tokenize and doctor. */
import { displayWidth, padWidth, padWidthStart } from "./display-width.ts";

export type Alignment = "left" | "right";

/**
 * Lines of a table: columns as wide as their widest cell, two spaces between them, no trailing spaces.
 *
 * @param rows cells without escape sequences; a row may be shorter than the widest.
 * @param alignments by column; "left" where absent.
 */
export function tableLines(
  rows: readonly (readonly string[])[],
  alignments: readonly Alignment[] = [],
): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(cell));
    });
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return alignments[column] === "right" ? padWidthStart(cell, width) : padWidth(cell, width);
      })
      .join("  ")
      .trimEnd(),
  );
}
