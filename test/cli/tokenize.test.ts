import { expect, test } from "vitest";
import { minicpm, nano } from "./cli-process.ts";

test("ids and pieces stand on lines of stdout, their number on stderr", async () => {
  const { code, out, err } = await minicpm(["tokenize", nano, "Hello 你"]);
  expect(code).toBe(0);
  const rows = out.trimEnd().split("\n");
  expect(rows[0]).toMatch(/^ *\d+ {2}▁H$/);
  expect(rows.slice(-3).map((row) => row.trim().split(/ +/)[1])).toEqual(["<0xE4>", "<0xBD>", "<0xA0>"]);
  expect(err).toBe(`${rows.length} tokens\n`);
});

test("--json gives count, ids and pieces of the same length", async () => {
  const { out, err } = await minicpm(["tokenize", nano, "Hello", "--json", "--quiet"]);
  const { count, ids, pieces } = JSON.parse(out);
  expect([ids.length, pieces.length]).toEqual([count, count]);
  expect(pieces.join("")).toBe("▁Hello");
  expect(err).toBe("");
});

test("special tokens count with --special only, bos comes with --bos only", async () => {
  const ids = async (...flags: string[]) =>
    JSON.parse((await minicpm(["tokenize", nano, "<|im_end|>", "--json", ...flags])).out).ids as number[];
  expect(await ids("--special")).toEqual([2040]);
  expect(await ids()).not.toContain(2040);
  expect((await ids("--bos"))[0]).toBe(1);
});

test("text comes from stdin where none is given, to the last byte", async () => {
  const piped = await minicpm(["tokenize", nano, "--json"], { input: "Hello\n" });
  const given = await minicpm(["tokenize", nano, "Hello\n", "--json"]);
  expect(JSON.parse(piped.out)).toEqual(JSON.parse(given.out));
});
