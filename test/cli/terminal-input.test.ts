import { PassThrough } from "node:stream";
import type { ReadStream } from "node:tty";
import { expect, test } from "vitest";
import { TerminalInput } from "../../src/cli/terminal-input.ts";

function input() {
  const source = new PassThrough();
  const events: string[] = [];
  const keys = new TerminalInput(source as unknown as ReadStream, {
    onPaste: (text) => `<${text}>`,
    onInterrupt: () => events.push("interrupt"),
  });
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const read = async () => {
    await settle();
    return (keys.read() as string | null) ?? "";
  };
  const type = async (...chunks: (string | Buffer)[]) => {
    for (const chunk of chunks) {
      source.write(chunk);
      await settle();
    }
  };
  return { keys, events, read, type };
}

test("keys pass up to one Enter, the rest waits for the next line", async () => {
  const { keys, read, type } = input();
  keys.openLine();
  await type("one\rtwo\r");
  expect(await read()).toBe("one\r");
  keys.openLine();
  expect(await read()).toBe("two\r");
});

test("what is typed while no line is read appears at the next", async () => {
  const { keys, read, type } = input();
  await type("early");
  expect(await read()).toBe("");
  keys.openLine();
  expect(await read()).toBe("early");
});

test("Ctrl-C while no line is read is told at once and forgets what was typed before", async () => {
  const { keys, events, read, type } = input();
  await type("half\x03rest");
  expect(events).toEqual(["interrupt"]);
  keys.openLine();
  expect(await read()).toBe("rest");
});

test("Ctrl-C while a line is read is a key like others", async () => {
  const { keys, events, read, type } = input();
  keys.openLine();
  await type("a\x03");
  expect(await read()).toBe("a\x03");
  expect(events).toEqual([]);
});

test("pasted text is taken whole, Enter and all, also when its marks are cut by the reads", async () => {
  const { keys, read, type } = input();
  keys.openLine();
  const bytes = Buffer.from("say \x1b[200~line one\rline 二\r\x1b[201~!\r");
  await type(...Array.from(bytes, (byte) => Buffer.of(byte)));
  expect(await read()).toBe("say <line one\rline 二\r>!\r");
});

test("a paste during an answer waits whole", async () => {
  const { keys, read, type } = input();
  await type("\x1b[200~a\rb\x1b[201~");
  keys.openLine();
  expect(await read()).toBe("<a\rb>");
});
