import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect } from "vitest";
import { builtMain, childEnvironment, minicpm, nano, testNative, tiny } from "./cli-process.ts";

const greedy = ["--temperature", "0"];

testNative("the answer is on stdout and nothing else is", async () => {
  const question = "What is the capital of France?";
  const { code, out, err } = await minicpm(["run", nano, question, ...greedy, "--sparse", "on"]);
  expect({ code, out, err }).toEqual({ code: 0, out: "The capital of France is Paris.\n", err: "" });
  const untrained = await minicpm(["run", tiny, "hi", "--max-tokens", "3", "--sparse", "on"]);
  expect(untrained.err).toMatch(/was not trained for it/);
  expect(untrained.out).not.toMatch(/trained/);
});

testNative("--rope 128k is refused for a model that has no such extension", async () => {
  const { code, out, err } = await minicpm(["run", nano, "hi", "--rope", "128k"]);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(
    /^error: The extension to 128K tokens for this model .*nano.* is not supported\. There is one for/,
  );
});

testNative("--quiet keeps stderr empty, --verbose tells numbers", async () => {
  expect((await minicpm(["run", nano, "hi", "--quiet"])).err).toBe("");
  const { err } = await minicpm(["run", nano, "hi", "--verbose"]);
  expect(err).toMatch(/prompt \d+ tokens .* seed \d+/);
});

testNative("the prompt comes from stdin where none is given or it is -", async () => {
  const given = await minicpm(["run", nano, "Who are you?", ...greedy]);
  for (const words of [[], ["-"]]) {
    const piped = await minicpm(["run", nano, ...words, ...greedy], { input: "Who are you?\n" });
    expect(piped.out).toBe(given.out);
  }
});

testNative("what is piped stands behind the prompt, after an empty line", async () => {
  const json = ["--json", "--max-tokens", "1", ...greedy];
  const used = async (words: string[], input = "") => {
    const { out } = await minicpm(["run", nano, ...words, ...json], { input });
    const { result } = JSON.parse(out.trimEnd().split("\n").at(-1) ?? "");
    return result.usage.prompt as number;
  };
  expect(await used(["Sum this up:"], "one two\n")).toBe(await used(["Sum this up:\n\none two"]));
});

testNative("--json gives events whose texts add up to the result", async () => {
  const { out } = await minicpm(["run", nano, "hi", "--json", "--seed", "7"]);
  const events = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const text = events.filter(({ type }) => type === "text").map(({ delta }) => delta);
  const { result } = events.at(-1);
  expect(events[0].type).toBe("prefill");
  expect(text.join("")).toBe(result.text);
  expect(result).toMatchObject({ seed: 7, finishReason: "stop" });
  expect(result.usage.completion).toBeGreaterThanOrEqual(result.tokens.length);
});

testNative("with --json stderr is JSON lines too", async () => {
  const { err } = await minicpm(["run", tiny, "hi", "--json", "--verbose", "--sparse", "on"]);
  const notices = err
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).notice);
  expect(notices).toEqual([
    expect.stringMatching(/not trained for it/),
    expect.stringMatching(/loaded in/),
    expect.stringMatching(/seed/),
  ]);
});

testNative("flags reach the model: seed, max-tokens, stop, context-length", async () => {
  const again = () => minicpm(["run", tiny, "hi", "--seed", "3", "--max-tokens", "20", "--json"]);
  const finish = (out: string) => JSON.parse(out.trimEnd().split("\n").at(-1) ?? "").result;
  const [first, second] = [finish((await again()).out), finish((await again()).out)];
  expect(first.tokens).toEqual(second.tokens);
  expect(first.usage.completion).toBeLessThanOrEqual(20);
  const stopped = await minicpm([
    "run",
    nano,
    "What is the capital of France?",
    "--stop",
    " Paris",
    ...greedy,
  ]);
  expect(stopped.out).toBe("The capital of France is\n");
  const full = await minicpm(["run", nano, "word ".repeat(100), "--context-length", "64", "--json"]);
  expect(full.code).toBe(1);
  expect(JSON.parse(full.err.trimEnd().split("\n").at(-1) ?? "").error).toMatchObject({
    code: "CONTEXT_OVERFLOW",
  });
});

testNative("an empty prompt is a usage error", async () => {
  const { code, err } = await minicpm(["run", nano], { input: "\n" });
  expect(code).toBe(2);
  expect(err).toMatch(/The prompt is empty/);
});

testNative("Ctrl-C ends it with 130 and keeps what was printed", async () => {
  const slow = ["--ignore-eos", "--device", "reference"]; // some 40 s, if nobody stopped it
  let interrupted = false;
  const { code, out, err } = await minicpm(["run", nano, "hi", "--json", ...slow], {
    onOutput: (output, child) => {
      if (interrupted || !output.includes('"text"')) return;
      interrupted = true;
      child.kill("SIGINT");
    },
  });
  expect(code).toBe(130);
  expect(out).toContain('"type":"text"');
  expect(err).toContain('"ABORTED"');
});

testNative("a reader that leaves early ends it without a word", async () => {
  const slow = ["--ignore-eos", "--device", "reference"]; // it still has much to say then
  const child = spawn(process.execPath, [builtMain(), "run", nano, "hi", "--quiet", ...slow], {
    env: childEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let err = "";
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  await once(child.stdout, "data");
  child.stdout.destroy();
  const [code] = await once(child, "close");
  expect({ code, err }).toEqual({ code: 0, err: "" });
});
