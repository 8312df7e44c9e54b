/** What every bench of KL divergences is asked for: MODEL [TEXT_FILE] [--tokens N] [--threads N] [--json]. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { openModel } from "../src/model/load.ts";
import type { OpenedModel } from "../src/model/opened-model.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** Options of a bench's own, as they were given. */
type Values<Own extends Options> = ReturnType<typeof parseArgs<{ options: Own }>>["values"];

export interface KlArguments<Own extends Options> {
  readonly reference: string;
  readonly model: OpenedModel;
  /** Of TEXT_FILE (README.md), the first N (512), by the model's own tokenizer. */
  readonly tokens: Int32Array;
  readonly threads: number;
  readonly json: boolean;
  readonly values: Values<Own>;
}

/**
 * Reads the command line; says how it goes and exits with 2 where something is wrong with it.
 *
 * @param script its name in bench/
 * @param usage of its own options, with how they are written
 * @param fits whether the values of its own options are right
 */
export function klArguments<Own extends Options>(
  script: string,
  own: Own,
  usage: string,
  fits: (values: Values<Own>) => boolean,
): KlArguments<Own> {
  const { values: given, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tokens: { type: "string", default: "512" },
      threads: { type: "string", default: "2" },
      json: { type: "boolean", default: false },
      ...(own as Options),
    },
  });
  const [reference, file = fileURLToPath(new URL("../README.md", import.meta.url))] = positionals;
  const values = given as unknown as Values<Own>;
  const count = Number(given.tokens);
  const threads = Number(given.threads);
  const numbers = [count, threads].every((number) => Number.isInteger(number) && number > 0);
  if (!reference || positionals.length > 2 || !numbers || !fits(values)) {
    console.error(
      `usage: node bench/run.mjs bench/${script} MODEL [TEXT_FILE] [--tokens N] [--threads N] [--json] ${usage}`,
    );
    process.exit(2);
  }
  const model = openModel(reference);
  const most = Math.min(count, model.config.maxContext);
  const tokens = model.tokenizer.encode(readFileSync(file, "utf8"), { bos: true }).subarray(0, most);
  return { reference, model, tokens, threads, json: given.json === true, values };
}
