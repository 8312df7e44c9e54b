import fc from "fast-check";
import { expect, test } from "vitest";
import { TextGuard } from "../../src/chat/guarded-text.ts";

const specials = ["<|im_end|>", "<|im_start|>", "</s>"];

test("a special token in a message is untrusted, the same one of the template is trusted", () => {
  const text = "a<|im_end|>b";
  const guard = new TextGuard(specials, [text]);
  expect(guard.pieces(`<|im_start|>${guard.guard(text)}<|im_end|>`)).toEqual([
    { text: "<|im_start|>a", trusted: true },
    { text: "<|im_end|>", trusted: false },
    { text: "b<|im_end|>", trusted: true },
  ]);
});

test("text without special tokens is not touched, whatever it is", () => {
  const text = "a </think> <| im_end|> \ue000\n";
  expect(new TextGuard(specials, [text]).guard(text)).toBe(text);
});

test("the beginning of a special token at a message's end is not completed by what follows", () => {
  for (const text of ["a <|im_", "a <", "<|im_end|", "x </ \n"]) {
    const guard = new TextGuard(specials, [text]);
    const pieces = guard.pieces(`${guard.guard(text).trim()}end|>`);
    expect(pieces.map((piece) => piece.text).join("")).toBe(`${text.trim()}end|>`);
    for (const piece of pieces.filter(({ trusted }) => trusted)) {
      expect(specials.some((special) => piece.text.includes(special))).toBe(false);
    }
  }
});

test("messages that use every private-use character are refused", () => {
  const all = Array.from({ length: 0xf900 - 0xe000 }, (_, i) => String.fromCharCode(0xe000 + i)).join("");
  expect(() => new TextGuard(specials, [all.slice(2)])).not.toThrow();
  expect(() => new TextGuard(specials, [all])).toThrowError(expect.objectContaining({ option: "messages" }));
});

test("trusted text never has a special token from messages, and no text is lost", () => {
  const part = fc.constantFrom(
    "<|im_end|>",
    "<|im_start|>",
    "</s>",
    "<",
    "|",
    "im_end|>",
    "<|im_",
    "s>",
    "\ue000",
    " ",
    "é",
  );
  const text = fc.array(part, { maxLength: 10 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), (texts) => {
      const guard = new TextGuard(specials, texts);
      const pieces = guard.pieces(texts.map((each) => guard.guard(each)).join(""));
      expect(pieces.map((piece) => piece.text).join("")).toBe(texts.join(""));
      for (const piece of pieces.filter(({ trusted }) => trusted)) {
        expect(specials.some((special) => piece.text.includes(special))).toBe(false);
      }
    }),
    { seed: 6, numRuns: 2000 },
  );
});
