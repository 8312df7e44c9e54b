import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { scratchFolder } from "../scratch-folder.ts";
import { minicpm, nano, testNative } from "./cli-process.ts";

const folder = scratchFolder();
const greedy = ["--temperature", "0"];

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

testNative("run --schema prints JSON of the schema, and --json its value", async () => {
  const schema = file(
    "schema.json",
    JSON.stringify({
      type: "object",
      properties: { a: { enum: [1, 2] } },
      required: ["a"],
      additionalProperties: false,
    }),
  );
  const { code, out, err } = await minicpm(["run", nano, "hi", "--schema", schema, ...greedy]);
  expect([code, err]).toEqual([0, ""]);
  expect([1, 2]).toContain(JSON.parse(out).a);
  const events = await minicpm(["run", nano, "hi", "--schema", schema, "--json", ...greedy]);
  const { result } = JSON.parse(events.out.trimEnd().split("\n").at(-1) ?? "");
  expect(result.value).toEqual(JSON.parse(out));
});

testNative("an answer that is cut off is told and exits with 1", async () => {
  const schema = file("long.json", JSON.stringify({ type: "array", items: { const: 1 }, minItems: 50 }));
  const { code, err } = await minicpm([
    "run",
    nano,
    "hi",
    "--schema",
    schema,
    "--max-tokens",
    "5",
    ...greedy,
  ]);
  expect(code).toBe(1);
  expect(err).toMatch(/cut off/);
});

testNative("--grammar takes EBNF, a regular expression or tags, by the file's ending", async () => {
  const grammars = [
    file("answer.ebnf", 'root ::= "yes" | "no"'),
    file("answer.regex", "yes|no\n"),
    file("answer.json", JSON.stringify({ type: "regex", pattern: "yes|no" })),
  ];
  for (const grammar of grammars) {
    const { code, out } = await minicpm(["chat", nano, "-p", "hi", "--grammar", grammar, ...greedy]);
    expect(code).toBe(0);
    expect(["yes\n", "no\n"]).toContain(out);
  }
});

testNative("what is no schema or grammar is told in a sentence", async () => {
  const bad = file("bad.json", "{");
  const none = await minicpm(["run", nano, "hi", "--schema", bad]);
  expect([none.code, none.err]).toEqual([2, expect.stringMatching(/bad\.json is no JSON/)]);
  const pattern = file("pattern.json", '{"type":"string","pattern":"a"}');
  const refused = await minicpm(["run", nano, "hi", "--schema", pattern]);
  expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(/held to the schema.*pattern/)]);
  const both = await minicpm(["run", nano, "hi", "--schema", pattern, "--grammar", pattern]);
  expect([both.code, both.err]).toEqual([2, expect.stringMatching(/Either --schema or --grammar/)]);
});
