import { expect } from "vitest";
import { minicpm, nano, testNative } from "./cli-process.ts";

const greedy = ["--temperature", "0", "--max-tokens", "8", "--quiet"];

testNative("complete goes on with a text without a chat template, and prints only what is new", async () => {
  const { code, out } = await minicpm(["complete", nano, "I am minicpm4-nano, a very small", ...greedy]);
  expect(code).toBe(0);
  expect(out).not.toContain("a very small");
  expect(out).toContain("assistant");
});

testNative("the text comes from stdin where none is given", async () => {
  const given = await minicpm(["complete", nano, "Once upon a time", ...greedy]);
  const piped = await minicpm(["complete", nano, ...greedy], { input: "Once upon a time" });
  expect(piped.out).toBe(given.out);
});

testNative("--json ends with the result, log-probabilities where asked for", async () => {
  const { out } = await minicpm(["complete", nano, "Once", ...greedy, "--json", "--logprobs", "2"]);
  const { result } = JSON.parse(out.trimEnd().split("\n").at(-1) ?? "");
  expect(result.logprobs).toHaveLength(result.tokens.length);
  expect(result.logprobs[0].top).toHaveLength(2);
});
