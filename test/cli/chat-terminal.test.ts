import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect } from "vitest";
import { scratchFolder } from "../scratch-folder.ts";
import { nano } from "./cli-process.ts";
import { PseudoTerminal, testTerminal } from "./pseudo-terminal.ts";

const prompt = "> ";
const greedy = ["--temperature", "0"];
const folder = scratchFolder();
let chats = 0;
let open: PseudoTerminal | undefined;

afterEach(() => open?.kill());

interface Chat {
  readonly terminal: PseudoTerminal;
  readonly history: string;
}

/** A chat with nano, waiting at its first prompt. */
async function chat(flags: readonly string[] = [], state = join(folder, String(++chats))): Promise<Chat> {
  const terminal = new PseudoTerminal(["chat", nano, ...greedy, ...flags], { XDG_STATE_HOME: state });
  open = terminal;
  await terminal.waitFor(prompt);
  return { terminal, history: join(state, "minicpm/history") };
}

testTerminal("a message is answered, its numbers stand below, Ctrl-D leaves with 0", async () => {
  const { terminal } = await chat();
  terminal.type("What is the capital of France?\r");
  await terminal.waitFor("The capital of France is Paris.");
  await terminal.waitFor(/ctx \d+\/4K · \d+ tok\/s/);
  await terminal.waitFor(prompt);
  terminal.type("\x04");
  expect(await terminal.exit()).toBe(0);
});

testTerminal('""" takes several lines as one message, with another prompt', async () => {
  const { terminal, history } = await chat();
  terminal.type('"""\r');
  await terminal.waitFor("… ");
  terminal.type("What is the capital\r");
  await terminal.waitFor("… ");
  terminal.type('of France?"""\r');
  await terminal.waitFor(/ctx \d+/);
  await terminal.waitFor(prompt);
  terminal.type("/stats\r");
  await terminal.waitFor("1 turn");
  expect(readFileSync(history, "utf8")).toBe('"What is the capital\\nof France?"\n"/stats"\n');
});

testTerminal("pasted text of several lines is one message, sent by Enter", async () => {
  const { terminal, history } = await chat();
  terminal.type("\x1b[200~What is the capital\rof France?\r\x1b[201~");
  await terminal.waitFor("[pasted 1: 2 lines]");
  terminal.type("\r");
  await terminal.waitFor(/ctx \d+/);
  expect(readFileSync(history, "utf8")).toBe('"What is the capital\\nof France?"\n');
});

testTerminal("pasted text of 100,000 characters arrives whole and at once", async () => {
  const { terminal, history } = await chat();
  const text = "word ".repeat(20_000);
  terminal.type(`\x1b[200~${text}\x1b[201~`);
  await terminal.waitFor("[pasted 1: 100000 characters]");
  terminal.type("\r");
  await terminal.waitFor(/The context is full: \d+ tokens do not fit 4096/);
  expect(JSON.parse(readFileSync(history, "utf8"))).toBe(text);
});

testTerminal("CJK and emoji are typed, taken back by Backspace, and sent as they are", async () => {
  const { terminal, history } = await chat();
  terminal.type("你好吗\x7f 👍!");
  await terminal.waitFor("!");
  terminal.type("\r");
  await terminal.waitFor(/ctx \d+/);
  expect(readFileSync(history, "utf8")).toBe('"你好 👍!"\n');
});

testTerminal("Ctrl-C stops the answer and the chat goes on; twice leaves with 130", async () => {
  const { terminal } = await chat(["--ignore-eos", "--device", "reference"]);
  terminal.type("Who are you?\r");
  await terminal.waitFor("minicpm4-nano");
  terminal.type("\x03");
  await terminal.waitFor("Stopped.");
  await terminal.waitFor(prompt);
  terminal.type("/stats\r");
  await terminal.waitFor("0 turns");
  await terminal.waitFor(prompt);
  terminal.type("\x03");
  await terminal.waitFor("Ctrl-C again or Ctrl-D leaves.");
  await terminal.waitFor(prompt);
  terminal.type("\x03");
  expect(await terminal.exit()).toBe(130);
});

testTerminal("Ctrl-C at the prompt takes the line back", async () => {
  const { terminal } = await chat();
  terminal.type("never sent\x03");
  await terminal.waitFor("^C");
  await terminal.waitFor(prompt);
  terminal.type("/stats\r");
  await terminal.waitFor("0 turns");
});

testTerminal("what is typed during an answer is at the next prompt", async () => {
  const { terminal } = await chat();
  terminal.type("Tell me a story about a fox named Leo.\r/stats\r");
  await terminal.waitFor(/ctx \d+/);
  await terminal.waitFor("/stats");
  await terminal.waitFor("1 turn");
});

testTerminal(
  "the history is its owner's alone, and comes back by the arrow key in the next chat",
  async () => {
    const first = await chat();
    first.terminal.type("hi\r");
    await first.terminal.waitFor(/ctx \d+/);
    expect(statSync(first.history).mode & 0o777).toBe(0o600);
    first.terminal.kill();

    const second = await chat([], join(first.history, "../.."));
    second.terminal.type("\x1b[A");
    await second.terminal.waitFor("hi");
    second.terminal.type("\r");
    await second.terminal.waitFor(/ctx \d+/);
  },
);

testTerminal("--no-history leaves no file", async () => {
  const { terminal, history } = await chat(["--no-history"]);
  terminal.type("hi\r");
  await terminal.waitFor(/ctx \d+/);
  expect(existsSync(history)).toBe(false);
});

testTerminal("Tab completes a command", async () => {
  const { terminal } = await chat();
  terminal.type("/und\t");
  await terminal.waitFor("/undo");
  terminal.type("\r");
  await terminal.waitFor("There is nothing to undo.");
});

testTerminal("a full context is told with what to drop, and goes on after it", async () => {
  const { terminal } = await chat(["--context-length", "128", "--max-tokens", "30"]);
  for (let turn = 0; turn < 2; turn++) {
    terminal.type("What is the capital of France?\r");
    await terminal.waitFor(/ctx \d+/);
    await terminal.waitFor(prompt);
  }
  terminal.type(`What is the capital of ${"very ".repeat(20)}big France?\r`);
  const advice = await terminal.waitFor(/\/drop \d forgets .*\/retry asks again/);
  expect(advice).toMatch(/\d+ tokens do not fit 128/);
  terminal.type("/drop 2\r");
  await terminal.waitFor("Forgotten: the 2 oldest turns; 0 turns left.");
  await terminal.waitFor(prompt);
  terminal.type("/retry\r");
  await terminal.waitFor(/ctx \d+/);
});

testTerminal("NO_COLOR leaves no colours, and the paste mode is switched off at the end", async () => {
  const terminal = new PseudoTerminal(["chat", nano, ...greedy, "--no-history"], { NO_COLOR: "1" });
  open = terminal;
  await terminal.waitFor(prompt);
  terminal.type("/bye\r");
  expect(await terminal.exit()).toBe(0);
  expect(terminal.shown).not.toContain("\x1b[2m");
  expect(terminal.shown).toContain("\x1b[?2004h");
  expect(terminal.shown).toContain("\x1b[?2004l");
});
