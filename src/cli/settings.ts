/**
 * What can be set for answers, by flag and by /set alike: the fields of GenerateOptions, one row each. A flag is the
 * field's name in kebab-case.
 */
import type { GenerateOptions, ToolUse } from "../index.ts";

export type Field = Exclude<keyof GenerateOptions, "signal" | "schema" | "grammar" | keyof ToolUse>;

export interface Setting {
  readonly field: Field;
  /** What stands for the value in help; absent for a switch. */
  readonly value?: string;
  readonly help: string;
  /** @throws SettingError when `text` is no such value. */
  readonly parse: (text: string) => unknown;
  /** The flag can be given several times; values are collected by this. */
  readonly collect?: (value: unknown, before: unknown) => unknown;
}

/** A value that a setting cannot take, as "must be ...". */
export class SettingError extends Error {}

export const settings: readonly Setting[] = [
  { field: "temperature", value: "number", help: "0 takes the best token always", parse: number(0, 100) },
  { field: "topK", value: "count", help: "keep this many best tokens, 0 keeps all", parse: integer(0) },
  {
    field: "topP",
    value: "share",
    help: "keep the fewest tokens that reach this probability",
    parse: number(0, 1),
  },
  {
    field: "minP",
    value: "share",
    help: "drop tokens less probable than this times the best",
    parse: number(0, 1),
  },
  {
    field: "repetitionPenalty",
    value: "factor",
    help: "above 1 discourages tokens seen before",
    parse: number(0.001, 1000),
  },
  {
    field: "presencePenalty",
    value: "number",
    help: "subtracted once from tokens in the answer",
    parse: number(-100, 100),
  },
  {
    field: "frequencyPenalty",
    value: "number",
    help: "subtracted each time a token is in the answer",
    parse: number(-100, 100),
  },
  {
    field: "logitBias",
    value: "token=bias",
    help: "add to the logit of a token id (repeatable)",
    parse: tokenBias,
    collect: (value, before) => ({ ...(before as object), ...(value as object) }),
  },
  { field: "seed", value: "integer", help: "the same seed gives the same answer", parse: seed },
  { field: "maxTokens", value: "count", help: "most tokens of an answer", parse: integer(1) },
  {
    field: "stop",
    value: "text",
    help: "end before this text (repeatable)",
    parse: (text) => [text],
    collect: (value, before) => [...((before as string[]) ?? []), ...(value as string[])],
  },
  { field: "ignoreEos", help: "go on past the end-of-sequence tokens", parse: onOff },
  { field: "thinking", help: "think before answering, where the chat template has the choice", parse: onOff },
  {
    field: "logprobs",
    value: "count",
    help: "report this many best tokens with each (with --json)",
    parse: integer(0, 20),
  },
];

/** A value as /set shows it. */
export function shownValue(value: unknown): string {
  if (value === undefined) return "default";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "bigint") return value.toString();
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function kebabCase(field: string): string {
  return field.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

/** @returns the row of `name`, written as the field or as the flag. */
export function settingOf(name: string): Setting | undefined {
  return settings.find(({ field }) => field === name || kebabCase(field) === name);
}

export function number(least: number, most: number) {
  return (text: string): number => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!Number.isFinite(value) || value < least || value > most) {
      throw new SettingError(`must be a number from ${least} to ${most}`);
    }
    return value;
  };
}

export function integer(least: number, most = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    if (!/^[+-]?\d+$/.test(text.trim())) throw new SettingError(`must be an integer${range(least, most)}`);
    const value = Number(text);
    if (value < least || value > most) throw new SettingError(`must be an integer${range(least, most)}`);
    return value;
  };
}

function seed(text: string): number | bigint | undefined {
  if (text === "random") return undefined;
  if (!/^\d+$/.test(text) || BigInt(text) >= 2n ** 64n) {
    throw new SettingError('must be an integer in [0, 2^64), or "random"');
  }
  const value = BigInt(text);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function onOff(text: string): boolean {
  if (["on", "true", "yes", "1"].includes(text)) return true;
  if (["off", "false", "no", "0"].includes(text)) return false;
  throw new SettingError('must be "on" or "off"');
}

function tokenBias(text: string): Record<number, number> {
  const match = /^(\d+)=(.+)$/.exec(text);
  if (!match?.[1] || !match[2]) throw new SettingError("must be TOKEN=BIAS, such as 42=-5");
  return { [Number(match[1])]: number(-1e6, 1e6)(match[2]) };
}

function range(least: number, most: number): string {
  return most < Number.MAX_SAFE_INTEGER ? ` from ${least} to ${most}` : `, ${least} or more`;
}
