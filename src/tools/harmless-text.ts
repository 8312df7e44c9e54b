/** Text from servers made harmless: nothing in it moves a cursor, changes colours, or is there without being seen. */

// ESC [ ... letter; ESC ] ... BEL or ESC \; ESC and one letter; their single-character forms.
const escapeSequence =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?/g;
// C0 without tab and newline, DEL, C1.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
/** Marks that turn the direction of writing, and the tag characters, which no font shows. */
const unseen = /[\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff]|[\u{e0000}-\u{e007f}]/gu;

/**
 * The text without escape sequences and control characters other than tab and newline; CRLF becomes LF, marks that are not
 * seen and halves of broken characters become U+FFFD.
 */
export function harmless(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?/g, "\n")
    .replace(escapeSequence, "")
    .replace(control, "\ufffd")
    .replace(unseen, "\ufffd");
}
