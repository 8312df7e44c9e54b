/** `minicpm chat`: a conversation in the terminal, or over a pipe with one message a line. */
import type { ReadStream, WriteStream } from "node:tty";
import type { Command } from "commander";
import { completeChatLine } from "./chat-commands.ts";
import { ChatLoop } from "./chat-loop.ts";
import { loadAloudSession } from "./chat-saving.ts";
import {
  type AnswerOptions,
  addGenerateOptions,
  addLoadOptions,
  addOutputOptions,
  applyOutputOptions,
  generateOptions,
  loadOptions,
} from "./command-options.ts";
import { defaultModelHelp, modelHelp } from "./default-model.ts";
import { withDocuments } from "./documents.ts";
import { exitCodes, UsageError } from "./failure.ts";
import { cacheFolder, lastChatFolder } from "./folders.ts";
import { addFormOptions, type FormFlags, formOptions } from "./form-options.ts";
import { History, historyPath } from "./history.ts";
import { LineEditor } from "./line-editor.ts";
import { type LineSource, PipedLines } from "./line-source.ts";
import { loadAloud } from "./load-aloud.ts";
import { answerOnce } from "./run.ts";
import { readStdin } from "./stdin.ts";
import type { Terminal } from "./terminal.ts";
import { addToolOptions, openTools, type ToolFlags } from "./tool-options.ts";

interface ChatOptions extends AnswerOptions, FormFlags, ToolFlags {
  readonly prompt?: string;
  readonly system?: string;
  readonly history: boolean;
  readonly cache: boolean;
  readonly with?: readonly string[];
  /** true: the last chat. */
  readonly resume?: string | true;
}

export function addChatCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("chat")
    .summary("talk with a model")
    .description(
      "Talk with a model. On a terminal, /help lists the commands. From a pipe or file, each line is a message and " +
        '""" begins and ends one of several lines; `-p -` takes the whole input as one.',
    )
    .argument("[model]", `${modelHelp} (${defaultModelHelp})`)
    .option("-p, --prompt <text>", 'answer this and leave; "-" reads it from stdin')
    .option("-s, --system <text>", "instructions that stand before the conversation")
    .option("--with <file...>", "documents to talk about, put before the instructions (MODEL goes before)")
    .option("--resume [folder]", "go on with the last chat, or with one that /save has kept")
    .option("--no-cache", "neither read nor write keys and values in the cache folder")
    .option("--no-history", "keep neither the typed messages nor this chat nor which model it was");
  addOutputOptions(command, "every event as a JSON line");
  addToolOptions(addFormOptions(addGenerateOptions(addLoadOptions(command))));
  command.action(async (model: string | undefined, options: ChatOptions) => {
    applyOutputOptions(terminal, options);
    process.exitCode = await chat(model, options, terminal);
  });
}

async function chat(reference: string | undefined, given: ChatOptions, terminal: Terminal): Promise<number> {
  const system = withDocuments(given.with ?? [], given.system);
  const options = {
    ...given,
    ...(system !== undefined && { system }),
    cacheDir: given.cache ? cacheFolder() : undefined,
  };
  const { resume } = options;
  const form = formOptions(options);
  if (resume !== undefined && (system !== undefined || options.prompt !== undefined)) {
    throw new UsageError(
      "--resume goes on with a conversation as it is: without --system, --with and --prompt.",
    );
  }
  if (options.prompt !== undefined) {
    const prompt = options.prompt === "-" ? await readStdin() : options.prompt;
    return answerOnce(reference, prompt, options, terminal);
  }
  await using tools = await openTools(options, terminal, { keep: options.history });
  await using model = await loadAloud(
    reference,
    { ...loadOptions(options), verbose: options.verbose, keep: options.history },
    terminal,
  );
  const session =
    resume === undefined
      ? model.createSession({ system })
      : await loadAloudSession(model, resume === true ? lastChatFolder() : resume, terminal);
  const interactive = Boolean(process.stdin.isTTY && process.stderr.isTTY);
  const loop = new ChatLoop({
    model,
    session,
    terminal,
    generate: { ...generateOptions(options), ...form },
    prompts: { first: "> ", more: "… " },
    json: Boolean(options.json),
    verbose: Boolean(options.verbose),
    interactive,
    tools,
    ...((interactive || resume !== undefined) && options.history && { keepIn: lastChatFolder() }),
  });
  const source = interactive ? lineEditor(options, loop, terminal) : new PipedLines(process.stdin);
  process.on("SIGINT", loop.interrupt);
  // By process.exit the terminal is given back as it was.
  process.once("SIGTERM", () => process.exit(exitCodes.terminated));
  process.once("SIGHUP", () => process.exit(exitCodes.hungUp));
  try {
    return await loop.run(source);
  } finally {
    process.off("SIGINT", loop.interrupt);
    source.close();
  }
}

function lineEditor(options: ChatOptions, loop: ChatLoop, terminal: Terminal): LineSource {
  terminal.notice("/help lists the commands, Ctrl-D leaves.");
  return new LineEditor({
    input: process.stdin as ReadStream,
    output: process.stderr as WriteStream,
    history: options.history ? openHistory(terminal) : History.forgetful(),
    complete: completeChatLine,
    onInterrupt: loop.interrupt,
  });
}

/** A history that cannot be read or written is no reason not to chat. */
function openHistory(terminal: Terminal): History {
  const path = historyPath();
  try {
    return History.open(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    terminal.notice(`The history is not kept: ${reason}`);
    return History.forgetful();
  }
}
