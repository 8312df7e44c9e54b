/** Makes text from files and models harmless for a terminal: no escape sequences, no cursor movement. */

// C0 without tab and newline, DEL, C1.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Control characters become U+FFFD; tab and newline stay. */
export function printable(text: string): string {
  return text.replace(control, "\ufffd");
}

/** One line that shows what is in `text`: as JSON writes it, without the quotes around it. */
export function escaped(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replace(/\\"/g, '"')
    .replace(/[\x7f-\x9f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
