import fc from "fast-check";
import { expect, test } from "vitest";
import { ThinkingSplitter } from "../../src/chat/thinking.ts";

function split(pieces: readonly string[], opened = false) {
  const splitter = new ThinkingSplitter(opened ? "</think>" : undefined);
  const parts = [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()];
  const join = (type: "thinking" | "text") =>
    parts.flatMap((part) => (part.type === type ? [part.delta] : [])).join("");
  return { thinking: join("thinking"), text: join("text"), textStart: splitter.textStart };
}

test("a reply without thoughts passes as it is, white space and all", () => {
  expect(split(["  Hello", " <think> there\n"])).toMatchObject({
    thinking: "",
    text: "  Hello <think> there\n",
  });
});

test("a thought at the start is told from the text", () => {
  const reply = "<think>\nLet me see.\n\nYes.\n</think>\n\nIt is 4.\n";
  expect(split([reply])).toMatchObject({ thinking: "Let me see.\n\nYes.", text: "It is 4.\n" });
});

test("where the prompt has opened the thought, the opening tag is missing", () => {
  expect(split(["Let me see.\n</th", "ink>\n\nIt is 4."], true)).toMatchObject({
    thinking: "Let me see.",
    text: "It is 4.",
  });
});

test("a thought that is not closed is all thought", () => {
  expect(split(["<think>Hm", "m </thin"])).toMatchObject({ thinking: "Hmm </thin", text: "" });
});

test("MiniCPM4's own tags are a thought too, closed by their own end only", () => {
  expect(split(["<|thought_", "start|>\nA </think> b.\n<|thought_end|>\n4"])).toMatchObject({
    thinking: "A </think> b.",
    text: "4",
  });
});

test("an empty thought leaves only text", () => {
  expect(split(["<think>\n\n</think>\n\n4"])).toMatchObject({ thinking: "", text: "4" });
});

test("only the first closing tag closes", () => {
  expect(split(["<think>a</think>b</think>c"])).toMatchObject({ thinking: "a", text: "b</think>c" });
});

test("a reply that ends while its start is unclear is text", () => {
  expect(split([" <thi"])).toMatchObject({ thinking: "", text: " <thi" });
});

test("however the reply is cut, the parts are the same, and textStart finds the text", () => {
  const piece = fc.constantFrom("<think>", "</think>", "<", "think>", "</", " ", "\n", "a", "b😀");
  const cuts = fc.array(fc.nat({ max: 60 }), { maxLength: 10 });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), cuts, fc.boolean(), (parts, places, opened) => {
      const reply = parts.join("");
      const starts = [0, ...places.sort((a, b) => a - b)];
      const pieces = starts.map((start, index) => reply.slice(start, starts[index + 1]));
      const whole = split([reply], opened);
      expect(split(pieces, opened)).toEqual(whole);
      if (whole.text !== "") expect(reply.slice(whole.textStart)).toBe(whole.text);
    }),
    { seed: 3, numRuns: 2000 },
  );
});
