/** The Berkeley function-calling leaderboard's files (Apache-2.0): prompts, functions and right answers. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { JsonValue } from "../../src/index.ts";
import type { CallItem, ExpectedCall } from "./expected-calls.ts";

type Schema = Readonly<Record<string, unknown>>;

/** The parts that are asked, a file each. */
export const bfclParts = ["simple_python", "multiple", "parallel", "irrelevance"] as const;

export function bfclFile(folder: string, part: string): string {
  return join(folder, `BFCL_v4_${part}.json`);
}

/** A file's items; without a file of answers no call is right. */
export function readBfcl(file: string): CallItem[] {
  const answers = join(file, "..", basename(file).replace(/\.json$/, ".answers.json"));
  const right = new Map(
    existsSync(answers) ? lines(answers).map(({ id, ground_truth }) => [id, ground_truth]) : [],
  );
  return lines(file).map(({ id, question, function: functions }) => ({
    id: id as string,
    messages: (question as CallItem["messages"][])[0] ?? [],
    tools: (functions as Schema[]).map(({ name, description, parameters }) => ({
      name: name as string,
      description: description as string,
      parameters: jsonSchema(parameters) as Schema,
    })),
    expected: ((right.get(id) ?? []) as Record<string, Record<string, JsonValue[]>>[]).map(expectedCall),
  }));
}

/** `""` among a parameter's values says that it may be left out. */
function expectedCall(truth: Record<string, Record<string, JsonValue[]>>): ExpectedCall {
  const [[name, values] = ["", {}]] = Object.entries(truth);
  const optional = Object.keys(values).filter((parameter) => values[parameter]?.includes(""));
  return { name, values, optional };
}

/** Its names of types are Python's. */
const types: Readonly<Record<string, string>> = { dict: "object", float: "number", tuple: "array", any: "" };

function jsonSchema(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(jsonSchema);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).flatMap(([keyword, one]): [string, unknown][] => {
    if (keyword !== "type" || typeof one !== "string") return [[keyword, jsonSchema(one)]];
    const type = types[one] ?? one;
    return type === "" ? [] : [["type", type]];
  });
  return Object.fromEntries(entries);
}

function lines(file: string): Schema[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as Schema);
}
