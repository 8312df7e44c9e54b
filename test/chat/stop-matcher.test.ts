import fc from "fast-check";
import { expect, test } from "vitest";
import { StopMatcher } from "../../src/chat/stop-matcher.ts";

function passed(stops: readonly string[], pieces: readonly string[]) {
  const matcher = new StopMatcher(stops);
  const deltas = pieces.map((piece) => matcher.push(piece));
  const { matched } = matcher;
  return { text: deltas.join("") + matcher.end(), matched };
}

/** The definition: cut before the stop text that is complete first, of several the longest. */
function cut(stops: readonly string[], text: string): string {
  for (let end = 1; end <= text.length; end++) {
    const complete = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (complete.length > 0) return text.slice(0, end - Math.max(...complete.map(({ length }) => length)));
  }
  return text;
}

test("text before a stop text passes, the stop text and what follows do not", () => {
  expect(passed(["END"], ["one E", "N two EN", "D three"])).toEqual({ text: "one EN two ", matched: true });
});

test("text that may become a stop text waits until it is clear", () => {
  const matcher = new StopMatcher(["\nUser:"]);
  expect(matcher.push("Hello\nUs")).toBe("Hello");
  expect(matcher.push("ed")).toBe("\nUsed");
  expect(matcher.push("\n")).toBe("");
  expect(matcher.end()).toBe("\n");
});

test("the stop text that is complete first counts, however the text is cut", () => {
  expect(passed(["abcd", "c"], ["abcd"]).text).toBe("ab");
  expect(passed(["abcd", "c"], [..."abcd"]).text).toBe("ab");
  expect(passed(["bc", "abc"], ["xabc"]).text).toBe("x");
});

test("what came after the stop text in the same piece is told", () => {
  const matcher = new StopMatcher(["|"]);
  matcher.push("one");
  expect(matcher.push(" two|three")).toBe(" two");
  expect([matcher.rest, matcher.passed]).toEqual(["three", 7]);
  expect(matcher.push("four")).toBe("");
});

test.each([[""], [5 as unknown as string]])("%o is refused as a stop text", (stop) => {
  expect(() => new StopMatcher([stop])).toThrowError(expect.objectContaining({ option: "stop" }));
});

const letters = fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), maxLength: 40 });
const stopTexts = fc.array(
  fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), minLength: 1, maxLength: 4 }),
  {
    maxLength: 4,
  },
);

test("whatever the pieces, what passes is the text up to the first stop text", () => {
  fc.assert(
    fc.property(stopTexts, fc.array(letters, { maxLength: 12 }), (stops, pieces) => {
      const text = pieces.join("");
      const expected = cut(stops, text);
      expect(passed(stops, pieces)).toEqual({ text: expected, matched: expected !== text });
    }),
    { seed: 1, numRuns: 2000 },
  );
});

test("no more is held back than could begin a stop text", () => {
  fc.assert(
    fc.property(stopTexts, fc.array(letters, { maxLength: 12 }), (stops, pieces) => {
      const matcher = new StopMatcher(stops);
      let seen = "";
      let shown = "";
      for (const piece of pieces) {
        seen += piece;
        shown += matcher.push(piece);
        if (matcher.matched) return;
        const held = seen.slice(shown.length);
        expect(held === "" || stops.some((stop) => stop.startsWith(held))).toBe(true);
      }
    }),
    { seed: 2, numRuns: 2000 },
  );
});
