/** How many terminal cells a text takes: 2 for CJK and emoji, 0 for marks and control characters. */

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

// East Asian Wide and Fullwidth (UAX #11) by script and range; emoji by their default presentation or by U+FE0F.
const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]|\ufe0f/u;
const narrowKatakana = /[\uff61-\uffdc]/u;
const invisible = /^[\p{Mark}\p{Cc}\p{Cf}\p{Surrogate}]+$/u;

/** Cells of `text` on one line; escape sequences are not understood here, measure before colouring. */
export function displayWidth(text: string): number {
  let cells = 0;
  for (const { segment } of segmenter.segment(text)) cells += graphemeWidth(segment);
  return cells;
}

/** The longest beginning of `text` that takes at most `cells`, with an ellipsis where something is left out. */
export function fitWidth(text: string, cells: number): string {
  if (displayWidth(text) <= cells) return text;
  let kept = "";
  let used = 1; // the ellipsis
  for (const { segment } of segmenter.segment(text)) {
    used += graphemeWidth(segment);
    if (used > cells) break;
    kept += segment;
  }
  return cells > 0 ? `${kept}…` : "";
}

/** `text` with spaces behind it, `cells` wide; longer text stays as it is. */
export function padWidth(text: string, cells: number): string {
  return text + " ".repeat(Math.max(0, cells - displayWidth(text)));
}

/** `text` with spaces before it, `cells` wide: for numbers. */
export function padWidthStart(text: string, cells: number): string {
  return " ".repeat(Math.max(0, cells - displayWidth(text))) + text;
}

function graphemeWidth(grapheme: string): number {
  if (invisible.test(grapheme)) return 0;
  return wide.test(grapheme) && !narrowKatakana.test(grapheme) ? 2 : 1;
}
