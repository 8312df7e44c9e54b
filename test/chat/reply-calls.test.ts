import fc from "fast-check";
import { expect, test } from "vitest";
import { Reply, type ReplyOptions } from "../../src/chat/reply.ts";
import type { ReplyPiece } from "../../src/chat/reply-output.ts";

/** A reply whose tokens are the characters of `text`. */
function replyTo(text: string, options: Partial<ReplyOptions> = {}) {
  const characters = [...text];
  const decoder = () => ({ push: (token: number) => characters[token] ?? "", end: () => "" });
  const reply = new Reply({ decoder, stopTokens: new Set(), stop: [], ...options });
  const push = (from: number, to: number) =>
    reply.push({ tokens: Int32Array.from({ length: to - from }, (_, index) => from + index) });
  return { reply, push, length: characters.length };
}

function run(text: string, options: Partial<ReplyOptions> = {}, size = 1) {
  const { reply, push, length } = replyTo(text, options);
  const pieces: ReplyPiece[] = [];
  for (let at = 0; at < length; at += size) pieces.push(...push(at, Math.min(at + size, length)));
  pieces.push(...reply.end());
  return { reply, pieces, text: reply.text, calls: reply.calls };
}

const block = (code: string) => `<|tool_call_start|>\n\`\`\`python\n${code}\n\`\`\`\n<|tool_call_end|>\n`;
const weather = { name: "get_weather", arguments: { city: "Paris", days: [1, 2] } };
const weatherCode = 'get_weather(city="Paris",days=[1, 2])';

test("thought, calls and text come apart, as MiniCPM4 writes them", () => {
  const said = `<|thought_start|>\nNeed the tool.\n<|thought_end|>\n${block(`${weatherCode}\nnow()`)}I look.`;
  const { reply } = run(said);
  expect(reply.thinking).toBe("Need the tool.");
  expect(reply.calls).toEqual([weather, { name: "now", arguments: {} }]);
  expect(reply.text).toBe("I look.");
  expect(reply.malformedCalls).toEqual([]);
});

test("a call comes when its line is complete, text as soon as it is no tag", () => {
  const { push } = replyTo(`Well. <|tool${block(weatherCode)}`);
  expect(push(0, 5)).toEqual([{ type: "text", delta: "Well." }]);
  expect(push(5, 12)).toEqual([]);
  const start = 12 + "<|tool_call_start|>\n```python\n".length + weatherCode.length;
  expect(push(12, start)).toEqual([{ type: "text", delta: " <|tool" }]);
  expect(push(start, start + 1)).toEqual([{ type: "call", call: weather }]);
});

test("white space between text and calls is left out, unless text is on both sides", () => {
  expect(run(`I look.\n\n${block(weatherCode)}\n`).text).toBe("I look.");
  expect(run(`I look.\n\n${block(weatherCode)}\nDone. `).text).toBe("I look.\n\nDone. ");
  expect(run(`\n${block(weatherCode)}`).text).toBe("");
});

test("text without calls keeps all of its white space", () => {
  expect(run(" a \n b\n ").text).toBe(" a \n b\n ");
});

test("what is no call stays in the text, with a reason; the calls beside it count", () => {
  const { reply } = run(`Hm.${block(`get_weather(here)\n${weatherCode}\nx = 1`)}Ok`);
  expect(reply.text).toBe("Hm.\nget_weather(here)\nx = 1\nOk");
  expect(reply.calls).toEqual([weather]);
  expect(reply.malformedCalls).toEqual([
    { text: "get_weather(here)", reason: 'a parameter\'s name is missing before "here)"' },
    { text: "x = 1", reason: '"(" after x is missing before "= 1"' },
  ]);
});

test("an answer that ends inside a call keeps it as text", () => {
  const { reply } = run(`<|tool_call_start|>\n\`\`\`python\n${weatherCode}\nf(a="b`);
  expect(reply.calls).toEqual([weather]);
  expect(reply.text).toBe('f(a="b');
  expect(reply.malformedCalls).toMatchObject([{ reason: "a string is not closed" }]);
});

test("a last call needs no line end, fence or end tag", () => {
  expect(run(`<|tool_call_start|>${weatherCode}`).calls).toEqual([weather]);
});

test("fenced Python that no tag precedes is text", () => {
  const said = `Here:\n\`\`\`python\n${weatherCode}\n\`\`\`\n`;
  expect(run(said)).toMatchObject({ text: said, calls: [] });
});

test("several blocks are calls in their order", () => {
  expect(run(`${block("a()")}then ${block("b()")}`)).toMatchObject({
    text: "then",
    calls: [{ name: "a" }, { name: "b" }],
  });
});

test("a completion shows calls as text", () => {
  expect(run(block(weatherCode), { plain: true })).toMatchObject({ text: block(weatherCode), calls: [] });
});

test("stop texts count in the text only, on either side of calls and not across them", () => {
  const said = `One${block('f(a="Two. Three")')}Two. Three`;
  const { reply, text, calls } = run(said, { stop: [". ", "OneTwo"] });
  expect([text, calls.length, reply.stopped]).toEqual(["OneTwo", 1, true]);
  expect(reply.tokens).toHaveLength(said.lastIndexOf(". "));
});

const part = fc.constantFrom(
  ...[
    "<|tool_call_start|>",
    "<|tool_call_end|>",
    "<|thought_start|>",
    "<|thought_end|>",
    "<|tool_",
    "<think>",
  ],
  ...["```python\n", "```", "f(a=1)", "g()", "f(", 'h(b="', '"', ")", "\n", " ", "a", "é", ";", "stop"],
);

test("however the tokens come, thought, text, calls and kept tokens are the same", () => {
  const said = fc.array(part, { maxLength: 14 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(said, fc.integer({ min: 2, max: 30 }), fc.boolean(), (text, size, stops) => {
      const options = { stop: stops ? ["stop", "aa"] : [] };
      const single = run(text, options);
      const batched = run(text, options, size);
      for (const field of ["text", "thinking", "calls", "malformedCalls", "tokens", "stopped"] as const) {
        expect(batched.reply[field]).toEqual(single.reply[field]);
      }
      const said = single.pieces.map((piece) => (piece.type === "text" ? piece.delta : "")).join("");
      expect(said).toBe(single.text);
    }),
    { seed: 12, numRuns: 4000 },
  );
});
