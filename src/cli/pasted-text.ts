/** Stands for text that does not fit on an editable line: what was pasted, or an earlier message of several lines. */
import { plural } from "./quantities.ts";

/** Longer text than this is shown by a label; the line editor redraws the whole line on every key. */
const longestInline = 500;

export class PastedText {
  private readonly texts = new Map<string, string>();

  /**
   * What to put on the line for `text`: itself, where it is short and on one line, else a label such as
   * `[pasted 1: 12 lines]` that `expand` turns back into the text, byte for byte.
   */
  inline(text: string, kind: "pasted" | "message"): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they would act as keys
    if (text.length <= longestInline && !/[\x00-\x1f\x7f]/.test(text)) return text;
    for (const [label, known] of this.texts) {
      if (known === text && label.startsWith(`[${kind}`)) return label;
    }
    const lines = text.split("\n").length;
    const size = lines > 1 ? plural(lines, "line") : plural(text.length, "character");
    const label = `[${kind} ${this.texts.size + 1}: ${size}]`;
    this.texts.set(label, text);
    return label;
  }

  /** `line` with every label replaced by its text. */
  expand(line: string): string {
    return line.replace(/\[(?:pasted|message) \d+: \d+ \w+\]/g, (label) => this.texts.get(label) ?? label);
  }
}

/** Terminals send pasted line ends as CR; the one at the very end came along with a copied line. */
export function pastedLines(raw: string): string {
  return raw.replace(/\r\n?/g, "\n").replace(/\n$/, "");
}
