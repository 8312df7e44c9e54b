/** A text of its own for each number, some 400 tokens of the tiny model. */
export function textOf(number) {
  return `Text ${number}. `.repeat(30);
}
