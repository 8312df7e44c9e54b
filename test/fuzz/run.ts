/**
 * Fuzzes the parsers of model files, of what models say, and of the schemas that it is held to.
 *
 * Usage: npm run fuzz -- [SECONDS] [TARGET]       SECONDS for each parser, default 60
 *        npm run fuzz -- --input FILE TARGET      tries one input again
 *
 * What is found is written to build/fuzz/ and ends the run with exit code 1.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { constraintTargets } from "./constraint-targets.ts";
import { type Finding, fuzz, type Target, wrongWith } from "./fuzzer.ts";
import { targets as modelTargets } from "./targets.ts";

const targets = [...modelTargets, ...constraintTargets];
const words = process.argv.slice(2);
const found = fileURLToPath(new URL("../../build/fuzz/", import.meta.url));

process.exitCode =
  words[0] === "--input" ? tryAgain(words[1] ?? "", words[2]) : fuzzAll(words[0] ?? "60", words[1]);

function fuzzAll(seconds: string, only: string | undefined): number {
  if (!(Number(seconds) > 0)) return usage(`${seconds} is no number of seconds`);
  for (const target of only === undefined ? targets : chosen(only)) {
    const counts = (url: string) => /\/src\/(model|chat|constraint)\//.test(url);
    const { runs, corpus, blocks, finding } = fuzz(target, { seconds: Number(seconds), counts });
    console.log(`${target.name}: ${runs} runs, ${blocks} blocks of code, ${corpus} inputs kept`);
    if (finding) return tell(target, finding);
  }
  return 0;
}

function tryAgain(path: string, name: string | undefined): number {
  const [target] = chosen(name ?? "");
  if (!target) return usage(`there is no target "${name}"`);
  const what = wrongWith(target, readFileSync(path));
  console.log(what ?? "nothing is wrong");
  return what === undefined ? 0 : 1;
}

function tell(target: Target, { input, what }: Finding): number {
  mkdirSync(found, { recursive: true });
  const path = join(found, `${target.name}-${createHash("sha256").update(input).digest("hex").slice(0, 12)}`);
  writeFileSync(path, input);
  console.error(`${what}\nTry it again: npm run fuzz -- --input ${path} ${target.name}`);
  return 1;
}

function chosen(name: string): Target[] {
  return targets.filter((target) => target.name === name);
}

function usage(problem: string): number {
  console.error(`${problem}. Targets: ${targets.map(({ name }) => name).join(", ")}`);
  return 2;
}
