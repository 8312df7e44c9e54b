import fc from "fast-check";
import { expect, test } from "vitest";
import { Reply, type ReplyOptions } from "../../src/chat/reply.ts";
import type { ReplyPiece } from "../../src/chat/reply-output.ts";
import { openModel } from "../../src/model/load.ts";

const { tokenizer } = openModel("tiny");
const end = 4; // <|im_end|>

/** A token for each byte, as a model may write any text: é is two tokens. */
function byteTokens(text: string): number[] {
  return [...Buffer.from(text, "utf8")].map((byte) => 5 + byte);
}

function replyOf(options: Partial<ReplyOptions> = {}): Reply {
  return new Reply({
    decoder: () => tokenizer.decodeStream(),
    stopTokens: new Set([2, end]),
    stop: [],
    plain: true,
    ...options,
  });
}

function run(reply: Reply, batches: readonly (readonly number[])[]): ReplyPiece[] {
  const pieces = batches.flatMap((tokens) => reply.push({ tokens: Int32Array.from(tokens) }));
  return [...pieces, ...reply.end()];
}

const textOf = (pieces: readonly ReplyPiece[]) =>
  pieces.map((piece) => (piece.type === "call" ? "" : piece.delta)).join("");

test("a character comes when all of its bytes have come", () => {
  const reply = replyOf();
  const deltas = byteTokens("né😀").map((token) => textOf(reply.push({ tokens: Int32Array.of(token) })));
  expect(deltas).toEqual(["n", "", "é", "", "", "", "😀"]);
});

test("the stop token ends the answer and is neither text nor token of it, but counted", () => {
  const reply = replyOf();
  const pieces = run(reply, [[...byteTokens("Hi"), end]]);
  expect(pieces).toEqual([{ type: "text", delta: "Hi" }]);
  expect([...reply.tokens]).toEqual(byteTokens("Hi"));
  expect(reply.completion).toBe(3);
  expect(reply.stopped).toBe(false);
});

test("an answer cut in the middle of a character ends with U+FFFD", () => {
  const reply = replyOf();
  run(reply, [byteTokens("aé").slice(0, 2)]);
  expect(reply.text).toBe("a\ufffd");
});

test("a stop text takes its tokens with it, and all that came after", () => {
  const reply = replyOf({ stop: ["\n\n"] });
  expect(run(reply, [byteTokens("one\n"), byteTokens("\ntwo"), byteTokens("three")])).toEqual([
    { type: "text", delta: "one" },
  ]);
  expect(reply.stopped).toBe(true);
  expect([...reply.tokens]).toEqual(byteTokens("one"));
  expect(reply.completion).toBe(3);
});

test("a stop text of several bytes leaves no byte of it behind", () => {
  const reply = replyOf({ stop: ["é"] });
  run(
    reply,
    byteTokens("naé").map((token) => [token]),
  );
  expect(reply.text).toBe("na");
  expect([...reply.tokens]).toEqual(byteTokens("na"));
});

test("a token that has text from both sides of the cut is left out", () => {
  const words = ["Hello", " wor", "ld. En", "d"];
  const decoder = () => ({ push: (token: number) => words[token] ?? "", end: () => "" });
  const reply = replyOf({ decoder, stopTokens: new Set(), stop: ["End"] });
  expect(
    textOf(
      run(reply, [
        [0, 1],
        [2, 3],
      ]),
    ),
  ).toBe("Hello world. ");
  expect([...reply.tokens]).toEqual([0, 1]);
});

test("what a stop text held back comes at the end", () => {
  const reply = replyOf({ stop: ["stop!"] });
  expect(textOf(reply.push({ tokens: Int32Array.from(byteTokens("do not stop")) }))).toBe("do not ");
  expect(textOf(reply.end())).toBe("stop");
});

test("thoughts come apart from text, and stop texts count in the text only", () => {
  const reply = replyOf({ plain: false, stop: ["."] });
  const pieces = run(reply, [byteTokens("<think>One. Two.</think>\n\nYes. No.")]);
  expect(pieces).toEqual([
    { type: "thinking", delta: "One. Two." },
    { type: "text", delta: "Yes" },
  ]);
  expect([...reply.tokens]).toEqual(byteTokens("<think>One. Two.</think>\n\nYes"));
  expect([reply.thinking, reply.text]).toEqual(["One. Two.", "Yes"]);
});

test("a completion shows <think> as text", () => {
  const reply = replyOf();
  run(reply, [byteTokens("<think>a</think>")]);
  expect([reply.text, reply.thinking]).toEqual(["<think>a</think>", ""]);
});

test("log-probabilities go with the tokens that stay", () => {
  const reply = replyOf({ stop: ["b"] });
  const [a = 0, b = 0] = byteTokens("ab");
  reply.push({
    tokens: Int32Array.of(a, b),
    logprobs: Float32Array.of(-0.5, -1),
    topTokens: Int32Array.of(7, 8, 9, 10),
    topLogprobs: Float32Array.of(-0.25, -0.5, -0.75, -1),
  });
  expect(reply.logprobs).toEqual([
    {
      token: a,
      logprob: -0.5,
      top: [
        { token: 7, logprob: -0.25 },
        { token: 8, logprob: -0.5 },
      ],
    },
  ]);
});

const anyText = fc.string({ unit: "grapheme", maxLength: 30 });

test("streamed text is the whole text, whatever the batches", () => {
  fc.assert(
    fc.property(anyText, fc.array(fc.integer({ min: 1, max: 9 })), (text, sizes) => {
      const tokens = byteTokens(text);
      const batches = sizes.map((size) => tokens.splice(0, size));
      const reply = replyOf({ decoder: () => tokenizer.decodeStream({ continued: true }) });
      expect(textOf(run(reply, [...batches, tokens]))).toBe(text);
      expect(reply.text).toBe(text);
    }),
    { seed: 4, numRuns: 500 },
  );
});

test("with stop texts, text, tokens and batches agree", () => {
  const stop = fc.string({ unit: fc.constantFrom("a", "é", " "), minLength: 1, maxLength: 3 });
  const text = fc.string({ unit: fc.constantFrom("a", "é", " ", "😀"), maxLength: 30 });
  fc.assert(
    fc.property(
      text,
      fc.array(stop, { maxLength: 3 }),
      fc.integer({ min: 1, max: 9 }),
      (text, stop, size) => {
        const tokens = byteTokens(text);
        const decoder = () => tokenizer.decodeStream({ continued: true });
        const single = replyOf({ stop, decoder });
        run(
          single,
          tokens.map((token) => [token]),
        );
        const batched = replyOf({ stop, decoder });
        run(
          batched,
          Array.from({ length: Math.ceil(tokens.length / size) }, (_, i) =>
            tokens.slice(i * size, (i + 1) * size),
          ),
        );
        expect([batched.text, batched.tokens, batched.stopped]).toEqual([
          single.text,
          single.tokens,
          single.stopped,
        ]);
        expect([...single.tokens]).toEqual(byteTokens(single.text));
        expect(text.startsWith(single.text)).toBe(true);
      },
    ),
    { seed: 5, numRuns: 1000 },
  );
});
