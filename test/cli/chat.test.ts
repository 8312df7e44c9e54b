import { expect } from "vitest";
import { minicpm, nano, testNative, tiny } from "./cli-process.ts";

const greedy = ["--temperature", "0"];

testNative("without a MODEL chat talks with nano and says what it is and how to get a real one", async () => {
  const { code, out, err } = await minicpm(["chat", "-p", "What is the capital of France?", ...greedy]);
  expect({ code, out }).toEqual({ code: 0, out: "The capital of France is Paris.\n" });
  const [first] = err.split("\n");
  expect(first).toMatch(/nano: .*MiniCPM4-0\.5B from Hugging Face.*minicpm chat openbmb\/MiniCPM4-0\.5B/);
});

testNative("-p - takes the whole of stdin as one message", async () => {
  const { out } = await minicpm(["chat", nano, "-p", "-", ...greedy], { input: "Who are\nyou?" });
  const once = await minicpm(["run", nano, "Who are\nyou?", ...greedy]);
  expect(out).toBe(once.out);
});

testNative("over a pipe each line is a message of one conversation, with commands and blocks", async () => {
  const input = 'hi\n\n"""\nWhat is the capital\nof France?\n"""\n/stats\n/undo\n/stats\n';
  const { code, out, err } = await minicpm(["chat", nano, ...greedy], { input });
  expect(code).toBe(0);
  expect(out.trimEnd().split("\n")).toHaveLength(2);
  expect(err).toMatch(/2 turns[\s\S]*Forgotten: What is the capital of France\?[\s\S]*1 turn\b/);
});

testNative("a conversation goes on from what is held: only the new turn is prefilled", async () => {
  const { out } = await minicpm(["chat", nano, "--json", ...greedy], { input: "hi\nWho are you?\n" });
  const results = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === "finish")
    .map(({ result }) => result);
  expect(results).toHaveLength(2);
  expect(results[1].usage.cached).toBeGreaterThan(results[0].usage.prompt - 2);
});

testNative("a line that does not fit ends the chat with the numbers, exit code 1", async () => {
  const { code, out, err } = await minicpm(["chat", tiny, "--context-length", "128"], {
    input: `${"long ".repeat(50)}\nhi\n`,
  });
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/error: \d+ tokens do not fit a context of 128/);
});

testNative("a context as asked is not told, an invalid one is a usage error", async () => {
  const { err } = await minicpm(["chat", tiny, "-p", "hi", "-c", "256", "--max-tokens", "1"]);
  expect(err).not.toMatch(/context/);
  const { code } = await minicpm(["chat", tiny, "-p", "hi", "-c", "999999"]);
  expect(code).toBe(2);
});
