import { expect, test } from "vitest";
import type { Line, LineSource } from "../../src/cli/line-source.ts";
import { type Input, readInput } from "../../src/cli/message-reader.ts";

const prompts = { first: "> ", more: "… " };

function scripted(...lines: (string | Line)[]) {
  const asked: string[] = [];
  const remembered: string[] = [];
  const source: LineSource = {
    read: async (prompt) => {
      asked.push(prompt);
      const line = lines.shift() ?? { type: "end" };
      return typeof line === "string" ? { type: "line", text: line, typed: line } : line;
    },
    remember: (message) => void remembered.push(message),
    close: () => {},
  };
  return { source, asked, remembered };
}

const read = (...lines: (string | Line)[]): Promise<Input> => readInput(scripted(...lines).source, prompts);

test("a line is a message, empty lines are passed over", async () => {
  expect(await read("", "  ", " hi ")).toEqual({ type: "message", text: " hi " });
});

test('""" begins and ends a message of several lines, asked for with another prompt and remembered whole', async () => {
  const { source, asked, remembered } = scripted('"""', "one", "", '  two"""', "next");
  expect(await readInput(source, prompts)).toEqual({ type: "message", text: "one\n\n  two" });
  expect(asked).toEqual(["> ", "… ", "… ", "… "]);
  expect(remembered).toEqual(["one\n\n  two"]);
});

test("the fences' own lines are no part of the message", async () => {
  expect(await read('"""', "one", '"""')).toEqual({ type: "message", text: "one" });
  expect(await read('"""one line"""')).toEqual({ type: "message", text: "one line" });
  expect(await read('"""first', "second", '"""')).toEqual({ type: "message", text: "first\nsecond" });
});

test("an input that ends inside a block gives what there is", async () => {
  expect(await read('"""', "one")).toEqual({ type: "message", text: "one" });
});

test("Ctrl-C inside a block forgets it", async () => {
  expect(await read('"""', "one", { type: "interrupt", empty: true })).toEqual({
    type: "interrupt",
    empty: false,
  });
});

test("a slash and a word is a command with its argument, a path is a message", async () => {
  expect(await read("/set seed 7 ")).toEqual({ type: "command", name: "set", argument: "seed 7" });
  expect(await read("/?")).toEqual({ type: "command", name: "?", argument: "" });
  expect(await read("/etc/hosts is what?")).toEqual({ type: "message", text: "/etc/hosts is what?" });
});

test("pasted text is a message whatever it begins with", async () => {
  const pasted = (text: string): Line => ({ type: "line", typed: "[pasted 1: 2 lines]", text });
  expect(await read(pasted('"""doc\nstring'))).toEqual({ type: "message", text: '"""doc\nstring' });
  expect(await read(pasted("/bye\nnow"))).toEqual({ type: "message", text: "/bye\nnow" });
});

test("pasted text can be a command's argument", async () => {
  const line: Line = {
    type: "line",
    typed: "/system [pasted 1: 2 lines]",
    text: "/system Be brief.\nBe kind.",
  };
  expect(await read(line)).toEqual({ type: "command", name: "system", argument: "Be brief.\nBe kind." });
});
