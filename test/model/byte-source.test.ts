import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withFile } from "../../src/model/byte-source.ts";
import { scratchFolder } from "../scratch-folder.ts";

const folder = scratchFolder();

function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

test("a Git LFS pointer is told from a damaged file", () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 12345\n`;
  const path = file("model.safetensors", pointer);
  expect(() => withFile(path, ({ size }) => size)).toThrow(
    expect.objectContaining({ code: "CHECKPOINT", file: path, found: expect.stringMatching(/git lfs pull/) }),
  );
});

test("a file that is shorter than a pointer's first line is read as it is", () => {
  expect(withFile(file("short", "version"), (source) => source.read(0, 7).toString())).toBe("version");
  expect(withFile(file("empty", ""), ({ size }) => size)).toBe(0);
});

test("a range that is not inside the file is refused with numbers", () => {
  const path = file("four", "1234");
  expect(() => withFile(path, (source) => source.read(2, 3))).toThrow(/3 bytes at 2.*a file of 4 bytes/);
});
