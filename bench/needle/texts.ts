/** Texts with needles, of held-out words, as long as a tokenizer says: made by models/nano/train/write_needles.py. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { marks } from "../eval/rules.ts";

export interface TextPlan {
  /** Names the text: the same seed and sizes give the same text. */
  readonly seed: string;
  /** Of a prompt, template and question included. */
  readonly tokens: number;
  /** Facts of one form in it. */
  readonly keys: number;
  /** Where those stand that are asked for: 0 at the start, 1 at the end; at most `keys`. */
  readonly depths: readonly number[];
}

export interface Question {
  readonly prompt: Int32Array;
  readonly depth: number;
  /** What the model was taught to say. */
  readonly expected: string;
}

export interface Text extends TextPlan {
  readonly questions: readonly Question[];
}

interface MadeItem {
  readonly messages: readonly { readonly role: "user"; readonly content: string }[];
  readonly expected: string;
  readonly depth: number;
}

/** A user's words as a prompt. */
export type Encode = (content: string) => Int32Array;

const folder = fileURLToPath(new URL("../../models/nano/train", import.meta.url));

/** How far below its length a prompt may stay: some sentences, and a text ends with a whole story at times. */
const tolerance = 128;

/** Each plan's text: its prompts are no longer than asked, and shorter by some sentences at most. */
export function makeTexts(plans: readonly TextPlan[], encode: Encode): Text[] {
  const ratio = charactersPerToken(encode);
  const sizes = plans.map(({ tokens }) => ratio * tokens);
  const best: (Text | undefined)[] = plans.map(() => undefined);
  const longest = ({ questions }: Text) => Math.max(...questions.map(({ prompt }) => prompt.length));
  for (let round = 0; round < 10; ++round) {
    const open = [...plans.keys()].filter((i) => {
      const found = best[i];
      return !found || longest(found) < found.tokens - tolerance;
    });
    if (open.length === 0) break;
    const made = make(
      open.map((i) => ({ ...(plans[i] as TextPlan), characters: sizes[i] ?? 0 })),
      encode,
    );
    for (const [at, i] of open.entries()) {
      const text = made[at] as Text;
      const found = best[i];
      if (longest(text) <= text.tokens && (!found || longest(text) > longest(found))) best[i] = text;
      // Once it is too long, a little less than the way back: the last sentence may be what was too much.
      sizes[i] = (sizes[i] ?? 0) + ratio * (text.tokens - longest(text) - tolerance / 4);
    }
  }
  return best.map((text, i) => {
    if (text) return text;
    throw new RangeError(`${plans[i]?.keys} facts and a question do not fit ${plans[i]?.tokens} tokens`);
  });
}

function charactersPerToken(encode: Encode): number {
  const [items = []] = write([{ seed: "ratio", characters: 4000, keys: 1, depths: [0.5] }]);
  const [item] = items;
  return item ? contentOf(item).length / encode(contentOf(item)).length : 1;
}

function make(plans: readonly (TextPlan & { readonly characters: number })[], encode: Encode): Text[] {
  const asked = plans.map(({ seed, keys, depths, characters }) => {
    return { seed, keys, depths, characters: Math.max(1, Math.round(characters)) };
  });
  return write(asked).map((items, i) => {
    const { seed, tokens, keys, depths } = plans[i] as TextPlan;
    const questions = items.map((item) => ({
      prompt: encode(contentOf(item)),
      depth: item.depth,
      expected: item.expected,
    }));
    return { seed, tokens, keys, depths, questions };
  });
}

function contentOf({ messages }: MadeItem): string {
  return messages.map(({ content }) => content).join("\n");
}

function write(texts: readonly object[]): MadeItem[][] {
  const out = execFileSync("python3", ["-B", "write_needles.py"], {
    cwd: folder,
    input: JSON.stringify(texts),
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  const lines = out.trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** By the evaluation's rule: the number that was asked for is in the answer. */
export function isFound(expected: string, text: string): boolean {
  const item = {
    id: "",
    suite: "needle",
    split: "held",
    messages: [],
    tools: [],
    expected,
    accept: [],
  } as const;
  const answer = (said: string) => ({ raw: said, text: said, calls: [], malformed: 0 });
  return marks(item, answer(text), answer(expected), "report").every(({ right }) => right);
}
