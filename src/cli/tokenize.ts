/** `minicpm tokenize`: the tokens of a text, by id and as the vocabulary writes them. */
import type { Command } from "commander";
import { openModel } from "../model/load.ts";
import { addOutputOptions, applyOutputOptions, type OutputOptions } from "./command-options.ts";
import { modelHelp } from "./default-model.ts";
import { escaped } from "./printable.ts";
import { plural } from "./quantities.ts";
import { readStdin } from "./stdin.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";

interface TokenizeOptions extends OutputOptions {
  readonly special?: boolean;
  readonly bos?: boolean;
}

export function addTokenizeCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("tokenize")
    .summary("show the tokens of a text")
    .description("Show the tokens of a text: id and piece, one a line.")
    .argument("<model>", modelHelp)
    .argument("[text]", 'the text; from stdin, every byte of it, where absent or "-"')
    .option("--special", "special tokens such as <|im_end|> count in the text")
    .option("--bos", "put the beginning-of-text token first, where the model wants one");
  addOutputOptions(command, "one JSON object: count, ids, pieces");
  command.action(async (reference: string, text: string | undefined, options: TokenizeOptions) => {
    applyOutputOptions(terminal, options);
    const { tokenizer } = openModel(reference);
    const { special = false, bos = false } = options;
    const given = text === undefined || text === "-" ? await readStdin() : text;
    const ids = Array.from(tokenizer.encode(given, { special, bos }));
    const pieces = ids.map((id) => tokenizer.idToToken(id) ?? "");
    if (options.json) {
      terminal.json({ count: ids.length, ids, pieces });
      return;
    }
    const rows = ids.map((id, index) => [String(id), escaped(pieces[index] ?? "")]);
    for (const line of tableLines(rows, ["right"])) terminal.line(line);
    terminal.notice(plural(ids.length, "token"));
  });
}
