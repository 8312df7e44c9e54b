import { expect, test } from "vitest";
import { minicpm, tiny } from "./cli-process.ts";

test("an unknown option is told with the one that was meant, exit code 2", async () => {
  const { code, out, err } = await minicpm(["run", tiny, "hi", "--temprature", "1"]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toBe("error: unknown option '--temprature' (Did you mean --temperature?)\n");
});

test("an unknown command is told with the one that was meant", async () => {
  const { code, err } = await minicpm(["tokenise"]);
  expect(code).toBe(2);
  expect(err).toMatch(/unknown command 'tokenise' \(Did you mean tokenize\?\)/);
});

test("no command shows help on stderr, exit code 2", async () => {
  const { code, out, err } = await minicpm([]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  for (const name of ["chat", "run", "complete", "tokenize", "inspect", "bench", "doctor"]) {
    expect(err).toMatch(new RegExp(`^  ${name} `, "m"));
  }
});

test("--help shows help on stdout, exit code 0", async () => {
  const { code, out, err } = await minicpm(["chat", "--help"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/--repetition-penalty <factor>/);
});

test.each([
  [["--temperature", "hot"], /It must be a number from 0 to 100/],
  [["--context-length", "many"], /It must be an integer/],
  [["--threads", "0"], /It must be an integer from 1 to 1024/],
  [["--device", "tpu"], /should be auto, cpu, cuda:N or reference/],
  [["--seed", "-1"], /It must be an integer in \[0, 2\^64\)/],
])("%j is refused before anything is loaded", async (words, reason) => {
  const { code, out, err } = await minicpm(["run", "no-such-model", "hi", ...words]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(reason);
});

test("with --json an error is one JSON object on stderr", async () => {
  const usage = await minicpm(["run", tiny, "hi", "--json", "--wrong"]);
  expect(usage.code).toBe(2);
  expect(JSON.parse(usage.err)).toEqual({ error: { code: "USAGE", message: "unknown option '--wrong'" } });
  const missing = await minicpm(["run", "no-such-model", "hi", "--json"]);
  expect(missing.code).toBe(1);
  expect(JSON.parse(missing.err).error).toMatchObject({ code: "MODEL_NOT_FOUND" });
});

test("an error is one sentence, with its stack on --verbose only", async () => {
  const plain = await minicpm(["inspect", "no-such-model"]);
  expect(plain.code).toBe(1);
  expect(plain.err).toMatch(/^error: There is no model "no-such-model".*\n$/);
  const verbose = await minicpm(["inspect", "no-such-model", "--verbose"]);
  expect(verbose.err).toMatch(/\n +at /);
});

test("--version is the package's", async () => {
  const { out } = await minicpm(["--version"]);
  expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
});
