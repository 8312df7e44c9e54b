/** Calls as MiniCPM5 writes them: `<function name="f"><param name="a">1</param></function>`. */
import { entities, isTextParameter } from "../constraint/xml-call-machine.ts";
import type { JsonValue, ToolDefinition } from "../tools/tool.ts";
import type { CallBlock, CallFormat, FoundCall } from "./call-format.ts";

const start = "<function name=";
const end = "</function>";
const verbatimStart = "<![CDATA[";
const verbatimEnd = "]]>";

export const xmlCalls: CallFormat = {
  name: "xml",
  start,
  end,
  block: (tools) => new XmlBlock(tools),
  example: `${start}"f"><param name="a">1</param>${end}`,
};

/** One call; ends at its end tag outside of CDATA. */
class XmlBlock implements CallBlock {
  readonly #tools: readonly ToolDefinition[];
  #text = "";
  #at = 0;
  #verbatim = false;

  constructor(tools: readonly ToolDefinition[]) {
    this.#tools = tools;
  }

  push(piece: string): { readonly found: readonly FoundCall[]; readonly rest?: string } {
    this.#text += piece;
    for (;;) {
      const tags = this.#verbatim ? [verbatimEnd] : [verbatimStart, end];
      const [first] = tags
        .map((tag) => ({ tag, at: this.#text.indexOf(tag, this.#at) }))
        .filter(({ at }) => at >= 0)
        .sort((a, b) => a.at - b.at);
      if (!first) {
        // A tag may have begun in the last characters.
        this.#at = Math.max(this.#at, this.#text.length - end.length);
        return { found: [] };
      }
      this.#at = first.at + first.tag.length;
      if (first.tag === end) {
        const found = [parseXmlCall(this.#text.slice(0, first.at), this.#tools)];
        return { found, rest: this.#text.slice(this.#at) };
      }
      this.#verbatim = first.tag === verbatimStart;
    }
  }

  end(): readonly FoundCall[] {
    return [{ text: start + this.#text.trimEnd(), reason: `${end} is missing` }];
  }
}

const functionName = /^\s*(?:"([^"<>]+)"|'([^'<>]+)')\s*>/;
const parameter = /\s*<param\s+name=(?:"([^"<>]*)"|'([^'<>]*)')\s*>/y;

/** @param block what stands between `<function name=` and the end tag */
function parseXmlCall(block: string, tools: readonly ToolDefinition[]): FoundCall {
  const malformed = (reason: string) => ({ text: start + block + end, reason });
  const named = functionName.exec(block);
  if (!named) return malformed("the function's name is missing");
  const name = named[1] ?? named[2] ?? "";
  const parameters = tools.find((tool) => tool.name === name)?.parameters;
  const given = new Map<string, JsonValue>();
  for (let at = named[0].length; block.slice(at).trim() !== ""; ) {
    parameter.lastIndex = at;
    const tag = parameter.exec(block);
    if (!tag) return malformed("there is more than parameters in it");
    const key = tag[1] ?? tag[2] ?? "";
    const value = readValue(block, parameter.lastIndex);
    if (!value) return malformed(`</param> is missing behind ${key}`);
    if (given.has(key)) return malformed(`${key} is given twice`);
    given.set(key, isTextParameter(parameters, key) ? value.text : typed(value.text));
    at = value.end;
  }
  return { name, arguments: Object.fromEntries(given) };
}

/** The text up to `</param>`, CDATA as it is, entities resolved elsewhere. */
function readValue(block: string, from: number): { readonly text: string; readonly end: number } | undefined {
  let text = "";
  for (let at = from; ; ) {
    const close = block.indexOf("</param>", at);
    const verbatim = block.indexOf(verbatimStart, at);
    if (verbatim >= 0 && (close < 0 || verbatim < close)) {
      const ends = block.indexOf(verbatimEnd, verbatim);
      if (ends < 0) return undefined;
      text += unescaped(block.slice(at, verbatim)).trim();
      text += block.slice(verbatim + verbatimStart.length, ends);
      at = ends + verbatimEnd.length;
      continue;
    }
    if (close < 0) return undefined;
    const last = unescaped(block.slice(at, close));
    return { text: text === "" ? last.trim() : text + last.trimEnd(), end: close + "</param>".length };
  }
}

function unescaped(text: string): string {
  return text.replace(/&\w+;/g, (entity) => entities.get(entity) ?? entity);
}

/** The value that a text stands for where something other than a text is wanted. */
function typed(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    const word = text.toLowerCase();
    return word === "true" || word === "false" ? word === "true" : word === "none" ? null : text;
  }
}
