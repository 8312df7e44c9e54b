/** `--schema FILE` and `--grammar FILE`: what form answers have. */
import { extname } from "node:path";
import type { Command } from "commander";
import type { GenerateOptions, Result } from "../index.ts";
import { UsageError } from "./failure.ts";
import { givenFile, givenJson } from "./given-file.ts";
import type { Terminal } from "./terminal.ts";

export interface FormFlags {
  readonly schema?: string;
  readonly grammar?: string;
}

export function addFormOptions(command: Command): Command {
  return command
    .option("--schema <file>", "answers are JSON of this JSON Schema")
    .option(
      "--grammar <file>",
      "answers are texts of this grammar: EBNF, a regular expression (.regex) or structural tags (.json)",
    );
}

/** @throws UsageError for a file that is no such thing, and what reading throws. */
export function formOptions({ schema, grammar }: FormFlags): Pick<GenerateOptions, "schema" | "grammar"> {
  if (schema !== undefined && grammar !== undefined) throw new UsageError("Either --schema or --grammar.");
  if (schema !== undefined) return { schema: givenJson(schema) as NonNullable<GenerateOptions["schema"]> };
  if (grammar === undefined) return {};
  switch (extname(grammar)) {
    case ".json":
      return { grammar: { tags: givenJson(grammar) as object } };
    case ".regex":
      return {
        grammar: {
          regex: givenFile(grammar)
            .toString()
            .replace(/\r?\n$/, ""),
        },
      };
    default:
      return { grammar: { ebnf: givenFile(grammar).toString() } };
  }
}

/** Says why an answer is not of its schema, where it is not. @returns whether it is well */
export function tellForm({ valueProblem }: Result, terminal: Terminal): boolean {
  if (valueProblem !== undefined) terminal.notice(valueProblem);
  return valueProblem === undefined;
}
