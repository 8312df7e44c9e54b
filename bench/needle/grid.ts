/** The grid of lengths, keys and depths: which texts it takes, and what their answers come to. */
import { distinct } from "../../src/bench/statistics.ts";
import type { TextPlan } from "./texts.ts";

export interface GridOptions {
  readonly lengths: readonly number[];
  readonly keys: readonly number[];
  readonly depths: readonly number[];
  /** Tokens read for a cell, about: short lengths have several texts each. */
  readonly tokensPerCell: number;
  readonly mostItems: number;
}

/** One square: what one way of running finds at a length, depth and number of keys. */
export interface Cell {
  readonly attention: "sparse" | "dense";
  readonly length: number;
  readonly keys: number;
  readonly depth: number;
  readonly items: number;
  readonly right: number;
  /** Of the texts with this length and so many keys. */
  readonly prefillTps: number;
  readonly decodeTps: number;
}

/** One answer, with the time of what was computed for it. */
export interface Outcome {
  readonly depth: number;
  readonly right: boolean;
  /** Prompt tokens that were computed, not those that the question before had left. */
  readonly read: number;
  readonly readSeconds: number;
  readonly made: number;
  readonly madeSeconds: number;
}

/**
 * The texts of one length and number of keys. A text asks for as many facts as it has, each at a depth of its own: with
 * nine keys one text serves nine depths, with one key each depth has a text.
 */
export function textsOf(length: number, keys: number, options: GridOptions): TextPlan[] {
  const { depths, tokensPerCell, mostItems } = options;
  const items = Math.max(1, Math.min(mostItems, Math.floor(tokensPerCell / length)));
  const groups = Math.ceil(depths.length / keys);
  return Array.from({ length: items }, (_, item) =>
    Array.from({ length: groups }, (_, group) => ({
      seed: [length, keys, item, group].join("/"),
      tokens: length,
      keys,
      depths: depths.filter((_, i) => i % groups === group),
    })),
  ).flat();
}

export function cellsOf(
  attention: Cell["attention"],
  { length, keys }: { readonly length: number; readonly keys: number },
  outcomes: readonly Outcome[],
): Cell[] {
  const sum = (field: "read" | "readSeconds" | "made" | "madeSeconds") =>
    outcomes.reduce((total, outcome) => total + outcome[field], 0);
  const speeds = {
    prefillTps: sum("read") / sum("readSeconds"),
    decodeTps: sum("made") / sum("madeSeconds"),
  };
  const depths = distinct(outcomes.map(({ depth }) => depth));
  return depths.map((depth) => {
    const mine = outcomes.filter((outcome) => outcome.depth === depth);
    const right = mine.filter((outcome) => outcome.right).length;
    return { attention, length, keys, depth, items: mine.length, right, ...speeds };
  });
}
