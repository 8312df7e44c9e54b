/** JSON of unknown origin: parsed and read field by field, every complaint naming the file and the field. */
import { CheckpointError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";

/** Larger JSON than any tokenizer or config has. */
const mostBytes = 2 ** 27;

/** Parses a whole JSON file. @throws CheckpointError */
export function readJson(source: ByteSource): unknown {
  if (source.size > mostBytes) {
    throw new CheckpointError(source.path, "", `at most ${mostBytes} bytes of JSON`, `${source.size} bytes`);
  }
  return parseJson(source.read(0, source.size).toString("utf8"), source.path);
}

/** Parses JSON text. @throws CheckpointError naming `file`. */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(file, "", "JSON", reason, { cause });
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How a value that is not what was expected is shown: short, whatever it is. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (Array.isArray(value)) {
    const numbers =
      value.length <= 8 && value.every((item) => typeof item === "number" || typeof item === "bigint");
    return numbers ? `[${value.join(", ")}]` : `a list of ${value.length}`;
  }
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The range a number must be in, ends included. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

/** Reads fields of one object; a field that is absent or null counts as absent. */
export class Fields {
  /**
   * @param file named in errors
   * @param values the object's fields
   * @param prefix put before field names in errors, for example `rope_scaling.`
   */
  constructor(
    readonly file: string,
    readonly values: Readonly<Record<string, unknown>>,
    private readonly prefix = "",
  ) {}

  /** @throws CheckpointError if `value` is no JSON object. */
  static of(file: string, value: unknown, prefix = ""): Fields {
    if (!isObject(value)) throw new CheckpointError(file, prefix.slice(0, -1), "a JSON object", shown(value));
    return new Fields(file, value, prefix);
  }

  get(name: string): unknown {
    return Object.hasOwn(this.values, name) ? (this.values[name] ?? undefined) : undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** An integer in `range`. */
  integer(name: string, range: Range, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    if (!Number.isSafeInteger(value) || !inRange(value as number, range)) {
      throw this.wrong(name, `an integer from ${range.least} to ${range.most}`, value);
    }
    return value as number;
  }

  /** A finite number in `range`. */
  number(name: string, range: Range, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value !== "number" || !inRange(value, range)) {
      throw this.wrong(name, `a number from ${range.least} to ${range.most}`, value);
    }
    return value;
  }

  /** `length` finite numbers in `range`. */
  numbers(name: string, length: number, range: Range): readonly number[] {
    const value = this.get(name);
    if (!Array.isArray(value) || value.length !== length) {
      const found = Array.isArray(value) ? `${value.length} of them` : shown(value);
      throw new CheckpointError(this.file, this.prefix + name, `${length} numbers`, found);
    }
    for (const item of value) {
      if (typeof item !== "number" || !inRange(item, range)) {
        throw this.wrong(name, `numbers from ${range.least} to ${range.most}`, item);
      }
    }
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.get(name);
    if (value !== undefined && typeof value !== "boolean") throw this.wrong(name, "true or false", value);
    return value;
  }

  string(name: string): string | undefined {
    const value = this.get(name);
    if (value !== undefined && typeof value !== "string") throw this.wrong(name, "a string", value);
    return value;
  }

  /** One integer, a list of them, or none, each in `range`: how configs write token ids. */
  integers(name: string, range: Range): readonly number[] {
    const value = this.get(name) ?? [];
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const item of list) {
      if (!Number.isSafeInteger(item) || !inRange(item as number, range)) {
        throw this.wrong(name, `integers from ${range.least} to ${range.most}`, item);
      }
    }
    return list as readonly number[];
  }

  /** The object in a field, or undefined where there is none. */
  fields(name: string): Fields | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : Fields.of(this.file, value, `${this.prefix + name}.`);
  }

  wrong(name: string, expected: string, found: unknown): CheckpointError {
    return new CheckpointError(this.file, this.prefix + name, expected, shown(found));
  }
}

function inRange(value: number, { least, most }: Range): boolean {
  return value >= least && value <= most;
}
