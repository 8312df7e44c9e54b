/** The calls in an answer of MiniCPM4: one Python call a statement, keyword arguments, literal values. */
import { parameterNamePattern } from "../constraint/python-call-machine.ts";
import { type JsonValue, type ToolCall, toolNamePattern } from "../tools/tool.ts";
import type { CallBlock, CallFormat, FoundCall } from "./call-format.ts";
import { NoLiteral, PythonReader } from "./python-literal.ts";

export const callsStart = "<|tool_call_start|>";
export const callsEnd = "<|tool_call_end|>";

export const pythonCalls: CallFormat = {
  name: "python",
  start: callsStart,
  end: callsEnd,
  block: () => new PythonBlock(),
  example: `${callsStart}\n\`\`\`python\nf(a=1)\n\`\`\`\n${callsEnd}`,
};

/** What stands where a call should be: text, and why it is none. */
export interface MalformedCall {
  readonly text: string;
  /** A clause: "location is no literal". */
  readonly reason: string;
}

const functionName = new RegExp(toolNamePattern, "uy");
const parameterName = new RegExp(String.raw`${parameterNamePattern}(?=\s*=(?!=))`, "uy");

/** Reads one statement; undefined where it is empty, a comment or the fence around a block. Never throws. */
export function parseCall(statement: string): ToolCall | MalformedCall | undefined {
  const text = statement.trim();
  const code = withoutFences(text);
  try {
    const reader = new PythonReader(code);
    return reader.atEnd ? undefined : readCall(reader);
  } catch (error) {
    if (error instanceof NoLiteral) return { text, reason: error.message };
    throw error;
  }
}

/** The statements between `<|tool_call_start|>` and `<|tool_call_end|>`. */
class PythonBlock implements CallBlock {
  readonly #splitter = new StatementSplitter(callsEnd);

  push(piece: string): { readonly found: readonly FoundCall[]; readonly rest?: string } {
    const { statements, ...rest } = this.#splitter.push(piece);
    return { found: statements.flatMap((statement) => parseCall(statement) ?? []), ...rest };
  }

  end(): readonly FoundCall[] {
    return [parseCall(this.#splitter.end()) ?? []].flat();
  }
}

function readCall(reader: PythonReader): ToolCall {
  const [name] = reader.match(functionName) ?? [];
  if (name === undefined) throw new NoLiteral(`a function's name is missing before ${reader.next}`);
  reader.expect("(", `"(" after ${name}`);
  const given = new Map<string, JsonValue>();
  let comma = true;
  while (!reader.take(")")) {
    if (!comma) throw new NoLiteral(`"," or ")" is missing before ${reader.next}`);
    const [parameter] = reader.match(parameterName) ?? [];
    if (parameter === undefined) throw new NoLiteral(`a parameter's name is missing before ${reader.next}`);
    if (given.has(parameter)) throw new NoLiteral(`${parameter} is given twice`);
    reader.expect("=", `"=" after ${parameter}`);
    given.set(parameter, reader.value());
    comma = reader.take(",");
  }
  if (!reader.atEnd) throw new NoLiteral(`more than a call: ${reader.next}`);
  return { name, arguments: Object.fromEntries(given) };
}

/** Without the marks of a fenced block, alone or before and after a call. */
function withoutFences(text: string): string {
  return text.replace(/^```(?:\w*$|(?:python|py)\b|)/, "").replace(/```$/, "");
}

/**
 * Cuts a block of calls that is still arriving into statements, at line ends and semicolons outside of brackets and
 * strings, up to `end`, which counts outside of strings only.
 */
export class StatementSplitter {
  readonly #end: string;
  /** What has been looked at of the statement that is not complete yet. */
  #done = "";
  /** What has not, from #at on. */
  #text = "";
  #at = 0;
  #depth = 0;
  /** The mark that closes the string we are in. */
  #mark = "";
  #comment = false;

  constructor(end: string) {
    this.#end = end;
  }

  /** Takes a piece; returns the statements it completes and, once `end` has come, what stands behind it. */
  push(piece: string): { readonly statements: string[]; readonly rest?: string } {
    this.#text += piece;
    const statements: string[] = [];
    for (;;) {
      const step = this.#mark === "" ? this.#outside() : this.#inside();
      if (step === "go on") continue;
      this.#done += this.#text.slice(0, this.#at);
      this.#text = this.#text.slice(this.#at);
      this.#at = 0;
      if (step === "wait") return { statements };
      statements.push(this.#done);
      this.#text = this.#text.slice(step === "end" ? this.#end.length : 1);
      this.#done = "";
      this.#depth = 0;
      this.#comment = false;
      if (step === "end") return { statements, rest: this.#text };
    }
  }

  /** No more comes: returns what is no statement yet. */
  end(): string {
    return this.#done + this.#text;
  }

  #outside(): "wait" | "go on" | "statement" | "end" {
    const rest = this.#text.slice(this.#at, this.#at + this.#end.length);
    if (rest === this.#end) return "end";
    if (rest === "" || this.#end.startsWith(rest)) return "wait";
    const [character = ""] = rest;
    if (character === "\n" || (character === ";" && !this.#comment)) {
      this.#comment = false;
      if (this.#depth <= 0) return "statement";
    }
    if (!this.#comment) {
      if (character === '"' || character === "'") return this.#open(rest, character);
      if (character === "#") this.#comment = true;
      if ("([{".includes(character)) this.#depth++;
      if (")]}".includes(character)) this.#depth--;
    }
    this.#at++;
    return "go on";
  }

  #open(rest: string, quote: string): "wait" | "go on" {
    if (rest.length < 3 && rest === quote.repeat(rest.length)) return "wait";
    this.#mark = rest.startsWith(quote.repeat(3)) ? quote.repeat(3) : quote;
    this.#at += this.#mark.length;
    return "go on";
  }

  #inside(): "wait" | "go on" {
    const rest = this.#text.slice(this.#at, this.#at + 3);
    const [character = ""] = rest;
    if (character === "" || rest === "\\") return "wait";
    if (rest.startsWith(this.#mark)) {
      this.#at += this.#mark.length;
      this.#mark = "";
    } else if (this.#mark.startsWith(rest)) {
      return "wait";
    } else if (character === "\n" && this.#mark.length === 1) {
      this.#mark = ""; // it was never closed
    } else {
      this.#at += character === "\\" ? 2 : 1;
    }
    return "go on";
  }
}
