import { expect, test } from "vitest";
import { Terminal } from "../../src/cli/terminal.ts";

function streams({ tty, env = {} }: { tty: boolean; env?: Record<string, string> }) {
  const written: string[] = [];
  const stream = (name: string) => ({
    isTTY: tty,
    columns: 80,
    write: (text: string) => written.push(`${name}:${text}`),
  });
  return { written, terminal: new Terminal({ stdout: stream("out"), stderr: stream("err"), env }) };
}

test("an answer goes to stdout byte for byte where no terminal is, with one line end", () => {
  const { written, terminal } = streams({ tty: false });
  terminal.answer("a\x1b[31m");
  terminal.answer("b");
  terminal.endAnswer();
  terminal.endAnswer();
  expect(written).toEqual(["out:a\x1b[31m", "out:b", "out:\n"]);
});

test("a terminal gets no control characters of the model's", () => {
  const { written, terminal } = streams({ tty: true });
  terminal.answer("a\x1b]0;title\x07\n");
  expect(written).toEqual(["out:a\ufffd]0;title\ufffd\n"]);
});

test("thinking is dimmed, goes to stderr, and the answer begins on a line of its own", () => {
  const { written, terminal } = streams({ tty: true });
  terminal.thinking("hm");
  terminal.answer("Yes");
  terminal.endAnswer();
  expect(written).toEqual(["err:\x1b[2mhm\x1b[22m", "err:\n", "out:Yes", "out:\n"]);
});

test("a warning is there with --quiet too, and is JSON where stderr is", () => {
  const { written, terminal } = streams({ tty: false });
  terminal.quiet = true;
  terminal.warn("no disk");
  terminal.jsonLines = true;
  terminal.warn("no disk");
  expect(written).toEqual(["err:no disk\n", 'err:{"warning":"no disk"}\n']);
});

test("NO_COLOR and TERM=dumb take colours away", () => {
  for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
    const { written, terminal } = streams({ tty: true, env });
    terminal.notice("plain");
    expect(written).toEqual(["err:plain\n"]);
  }
});

test("quiet drops notices and thinking, not messages", () => {
  const { written, terminal } = streams({ tty: false });
  terminal.quiet = true;
  terminal.notice("notice");
  terminal.thinking("hm");
  terminal.message("error");
  expect(written).toEqual(["err:error\n"]);
});

test("JSON is one line, with typed arrays as arrays and big integers as text", () => {
  const { written, terminal } = streams({ tty: false });
  terminal.json({ tokens: Int32Array.of(1, 2), seed: 2n ** 63n });
  expect(written).toEqual(['out:{"tokens":[1,2],"seed":"9223372036854775808"}\n']);
});
