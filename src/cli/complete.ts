/** `minicpm complete`: goes on with a text as it is, without a chat template. */
import type { Command } from "commander";
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
import { interruptible } from "./interrupt.ts";
import { loadAloud } from "./load-aloud.ts";
import { readStdin } from "./stdin.ts";
import type { Terminal } from "./terminal.ts";

export function addCompleteCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("complete")
    .summary("go on with a text")
    .description("Go on with a text as it is, without a chat template. Prints only what is new.")
    .argument("<model>", modelHelp)
    .argument("[text]", 'the text; from stdin where absent or "-"');
  addOutputOptions(command, "every event as a JSON line");
  addGenerateOptions(addLoadOptions(command));
  command.action(async (reference: string, text: string | undefined, options: AnswerOptions) => {
    applyOutputOptions(terminal, options);
    const prompt = text === undefined || text === "-" ? await readStdin() : text;
    await interruptible(async (signal) => {
      const load = { ...loadOptions(options), verbose: options.verbose, signal };
      await using model = await loadAloud(reference, load, terminal);
      await showAnswer(model.complete(prompt, { ...generateOptions(options), signal }), terminal, options);
    });
  });
}
