import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "../scratch-folder.ts";
import { minicpm, nano, testNative } from "./cli-process.ts";

const folder = scratchFolder();

testNative("convert writes a .gguf file where OUT ends so, in F16 by default", async () => {
  const { code, out } = await minicpm(["convert", nano, "nano.gguf", "--json"], { cwd: folder });
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ path: join(folder, "nano.gguf"), type: "F16" });
});

testNative("convert writes a folder that answers as the model does where OUT does not", async () => {
  const { code } = await minicpm(["convert", nano, join(folder, "copy"), "-q"]);
  expect(code).toBe(0);
  const ask = ["Tell me about a dog.", "--temperature", "0", "--max-tokens", "16"];
  const copied = await minicpm(["run", join(folder, "copy"), ...ask]);
  expect(copied.out).toBe((await minicpm(["run", nano, ...ask])).out);
});

test.each([
  [["out.gguf", "--type", "BF16"], /--type of a file has to be F16 or Q8_0 or Q4_0, not BF16/],
  [["out", "--type", "Q4_0"], /--type of a folder has to be BF16 or F16 or F32, not Q4_0/],
  [["out", "--type", "Q3"], /Allowed choices are/],
])("convert to %j is refused, exit code 2", async (words, reason) => {
  const { code, err } = await minicpm(["convert", nano, ...words], { cwd: folder });
  expect(code).toBe(2);
  expect(err).toMatch(reason);
  expect(existsSync(join(folder, "out"))).toBe(false);
});
