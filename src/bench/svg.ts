/** What drawings have in common: the frame, text and numbers as SVG. */

/** The whole file: white ground, a title, small lines under it, then `content`. */
export function svgFile(
  { width, height }: { readonly width: number; readonly height: number },
  { title, notes }: { readonly title: string; readonly notes: readonly string[] },
  content: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    svgText(16, 26, title, 'font-size="15" font-weight="bold"'),
    ...notes.map((note, i) => svgText(16, 46 + 16 * i, note, 'fill="#4b5563" font-size="11"')),
    ...content,
    "</svg>",
    "",
  ].join("\n");
}

/** Where content begins below a title and so many notes. */
export function contentTop(notes: readonly string[]): number {
  return 44 + 16 * notes.length;
}

export function svgText(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" ${attributes}>${escapedXml(content)}</text>`.replace(
    " >",
    ">",
  );
}

function escapedXml(text: string): string {
  const names: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  // Control characters have no place in XML at all.
  return text.replace(/[&<>"]/g, (character) => names[character] ?? "").replace(/\p{Cc}/gu, " ");
}

/** A tenth of a pixel is enough. */
export function fixed(value: number): string {
  return String(Number(value.toFixed(1)));
}
