/** Texts from a seed, of the kinds that tokenizers get wrong. */
import { randomNumbers } from "../random-numbers.ts";

const alphabets: readonly (readonly string[])[] = [
  ["a", "b", "e", "s", "t", "T", "Z", "'s", "'LL", "n't"],
  [" ", "  ", "   ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u0085", "\u200b", "\ufeff", "\u2028"],
  ["0", "1", "42", "1000000", "٣", "½", "Ⅷ", "²"],
  [".", ",", "!", "?", "-", "--", "…", "(", "}", "\\", '"', "`", "@", "#", "_", "$", "€"],
  ["the", "capital", "function", "Hello", "world", "don't", "https://", "=>", "const x = 1;", "</p>"],
  ["今天", "天气", "怎么样", "？", "こんにちは", "한국어", "ไทย", "العربية", "हिन्दी", "Ελλάδα", "привет"],
  ["🙂", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301", "\u0301", "ﬁ", "Å", "𝔘", "𠀋", "\u{10ffff}"],
  ["<|im_end|>", "<|im_start|>", "<s>", "</s>", "<unk>", "<0x41>", "<|", "|>", "<|im_", "im_end|>"],
  ["\u0000", "\u0001", "\u001b[31m", "\u007f", "\ud7ff", "\ue000", "\uffff"],
];

/** `count` texts of up to 40 parts. No `▁` and no lone surrogates: those are not text that Hugging Face keeps apart. */
export function madeTexts(seed: number, count: number): string[] {
  const random = randomNumbers(seed);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  return Array.from({ length: count }, () => {
    const own = [pick(alphabets), pick(alphabets), pick(alphabets)];
    const parts = Math.floor(random() ** 2 * 40);
    return Array.from({ length: parts }, () => {
      const part = pick(pick(own));
      return random() < 0.1 ? part.repeat(1 + Math.floor(random() * 6)) : part;
    }).join("");
  });
}
