import { describe, expect, test } from "vitest";
import type { Constraint } from "../../src/constraint/constraint.ts";
import { isAllowed, maskWords } from "../../src/constraint/constraint.ts";
import { type Grammar, Grammars } from "../../src/constraint/grammar.ts";
import { byteCharacters } from "../../src/model/token-bytes.ts";
import { nano } from "./made.ts";

const { tokenizer, vocabulary, vocabSize } = nano();
const [stop = -1] = vocabulary.stopTokens;
const grammars = new Grammars(vocabulary, byteCharacters);
const noThoughts = { tags: [] };

/** Takes a text's tokens; false where one is refused. The space that tokenizers put before a text is taken too. */
function takes(constraint: Constraint, text: string): boolean {
  return [...tokenizer.encode(text)].every((token) => constraint.accept(token));
}

test.each<readonly [Grammar, string, string]>([
  ['root ::= "yes" | "no"', "yes", "maybe"],
  [{ ebnf: 'root ::= item ("," item)*\nitem ::= [a-c]+' }, "abc,a,cc", "abc,,"],
  [{ regex: "[0-9]{3}-[a-z]{2}" }, "267-pe", "26-pe"],
  [
    { tags: { type: "tag", begin: "<a>", content: { type: "regex", pattern: "[a-z]+" }, end: "</a>" } },
    "<a>xy</a>",
    "xy",
  ],
])("%j has %j and not %j", async (grammar, good, bad) => {
  const constraint = await grammars.start(grammar, noThoughts);
  expect([takes(constraint, good), constraint.isWhole, constraint.accept(stop)]).toEqual([true, true, true]);
  expect(constraint.isDone).toBe(true);
  const other = await grammars.start(grammar, noThoughts);
  expect(takes(other, bad) && other.isWhole).toBe(false);
  constraint.dispose();
  other.dispose();
});

test("a mask has the tokens that are taken, also in a fork and after going back", async () => {
  const constraint = await grammars.start({ regex: "(one|two) [0-9]+" }, noThoughts);
  const mask = new Uint32Array(maskWords(vocabSize)).fill(0xffffffff);
  for (const token of tokenizer.encode("two 25")) {
    await constraint.fill(mask);
    const taken: number[] = [];
    for (let one = 0; one < vocabSize; one++) {
      if (!constraint.accept(one)) continue;
      taken.push(one);
      constraint.rollback(1);
    }
    const allowed = Array.from({ length: mask.length * 32 }, (_, one) => one).filter((one) =>
      isAllowed(mask, one),
    );
    expect(allowed).toEqual(taken);
    expect(constraint.accept(token)).toBe(true);
  }
  const fork = await constraint.fork();
  expect([fork.isWhole, fork.accept(stop), constraint.isDone]).toEqual([true, true, false]);
  fork.rollback(1);
  expect([fork.isDone, fork.isWhole]).toEqual([false, true]);
});

describe("thoughts", () => {
  const tags = [{ start: "<think>", end: "</think>" }];

  test("may come before the grammar's text, and need not", async () => {
    for (const text of ["<think>Hm, 7?</think>\nno", "no"]) {
      const constraint = await grammars.start('root ::= "yes" | "no"', { tags });
      expect([text, takes(constraint, text), constraint.isWhole]).toEqual([text, true, true]);
    }
  });

  test("that the prompt has opened have to end", async () => {
    const constraint = await grammars.start('root ::= "yes" | "no"', { tags, opened: "</think>" });
    expect(takes(constraint, "Well,")).toBe(true);
    expect(constraint.isWhole).toBe(false);
    expect(takes(constraint, " so</think> yes")).toBe(true);
    expect(constraint.isWhole).toBe(true);
  });
});

test.each<readonly [string, unknown, RegExp]>([
  ["EBNF with nothing in it", "root ::= ", /line 1/],
  ["EBNF without a root", 'start ::= "a"', /root/],
  ["an open bracket", { regex: "([" }, /Unclosed/],
  ["tags that are none", { tags: { type: "nothing" } }, /cannot read/],
  ["a number", 7, /neither/],
  ["nothing", null, /neither/],
  ["a long text", `root ::= "${"a".repeat(70_000)}"`, /longer/],
  ["repetitions without end", { regex: "((a{1,200}){1,200}){1,200}" }, /more than|too many/],
])("%s is refused, in a sentence", async (_, grammar, reason) => {
  await expect(grammars.start(grammar as Grammar, noThoughts)).rejects.toMatchObject({
    code: "CONSTRAINT",
    message: expect.stringMatching(reason),
  });
});
