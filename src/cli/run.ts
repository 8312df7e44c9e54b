/** `minicpm run`: one prompt, one answer, made for pipes. */
import type { Command } from "commander";
import type { Message } from "../index.ts";
import { showAnswer } from "./answer.ts";
import {
  type AnswerOptions,
  addGenerateOptions,
  addLoadOptions,
  addOutputOptions,
  applyOutputOptions,
  generateOptions,
  loadOptions,
} from "./command-options.ts";
import { modelHelp } from "./default-model.ts";
import { exitCodes, UsageError } from "./failure.ts";
import { addFormOptions, type FormFlags, formOptions, tellForm } from "./form-options.ts";
import { interruptible } from "./interrupt.ts";
import { loadAloud } from "./load-aloud.ts";
import { readStdin } from "./stdin.ts";
import type { Terminal } from "./terminal.ts";
import { addToolOptions, openTools, type ToolFlags } from "./tool-options.ts";
import { TypedLine } from "./typed-line.ts";

interface RunOptions extends AnswerOptions, FormFlags, ToolFlags {
  readonly system?: string;
  /** false: nothing of it is kept, not even which model it was. */
  readonly history?: boolean;
}

export function addRunCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("run")
    .summary("answer one prompt")
    .description(
      "Answer one prompt and leave. What comes through a pipe is put behind the prompt, after an empty line; " +
        'without a prompt, or with "-", it is the prompt.',
    )
    .argument("<model>", modelHelp)
    .argument("[prompt...]", "words of the prompt")
    .option("-s, --system <text>", "instructions that stand before the prompt");
  addOutputOptions(command, "every event as a JSON line");
  addToolOptions(addFormOptions(addGenerateOptions(addLoadOptions(command))));
  command.action(async (model: string, words: string[], options: RunOptions) => {
    applyOutputOptions(terminal, options);
    process.exitCode = await answerOnce(model, await joinedPrompt(words), options, terminal);
  });
}

/** Answers `prompt` under the options' instructions. @returns the exit code */
export async function answerOnce(
  reference: string | undefined,
  prompt: string,
  options: RunOptions,
  terminal: Terminal,
): Promise<number> {
  if (prompt.trim() === "") throw new UsageError("The prompt is empty.");
  const messages: Message[] = [{ role: "user", content: prompt }];
  if (options.system !== undefined) messages.unshift({ role: "system", content: options.system });
  const generate = { ...generateOptions(options), ...formOptions(options) };
  let isOfForm = true;
  await interruptible(async (signal) => {
    const load = { ...loadOptions(options), verbose: options.verbose, keep: options.history, signal };
    await using tools = await openTools(options, terminal, { keep: options.history !== false });
    await using model = await loadAloud(reference, load, terminal);
    using source = tools && process.stdin.isTTY ? new TypedLine() : undefined;
    if (source) tools?.askOn(source, terminal, () => process.kill(process.pid, "SIGINT"));
    const asked = model.chat(messages, { ...generate, ...tools?.use(), signal });
    const result = await showAnswer(asked, terminal, options);
    isOfForm = tellForm(result, terminal);
  });
  return isOfForm ? exitCodes.ok : exitCodes.error;
}

/** Words given, then what stands in the pipe: text or "-" for it alone. */
async function joinedPrompt(words: readonly string[]): Promise<string> {
  const given = words.filter((word) => word !== "-").join(" ");
  const piped = given === "" || words.includes("-") || !process.stdin.isTTY ? await readStdin() : "";
  return [given, piped.replace(/\r?\n$/, "")].filter((part) => part !== "").join("\n\n");
}
