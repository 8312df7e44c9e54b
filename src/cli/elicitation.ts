/** What MCP servers want to know of whoever sits at the terminal: forms to fill in, pages to visit. */
import type { ConnectMcpOptions } from "../index.ts";
import { isObject } from "../tools/json-object.ts";
import { schemaProblem } from "../tools/json-schema.ts";
import type { LineSource } from "./line-source.ts";
import { printable } from "./printable.ts";
import type { Terminal } from "./terminal.ts";

export type Elicit = NonNullable<ConnectMcpOptions["onElicit"]>;
type Answer = Awaited<ReturnType<Elicit>>;
type Field = { readonly [keyword: string]: unknown };
type Value = NonNullable<Answer["content"]>[string];

/** Somebody answers, once there is somebody. */
export class Elicitation {
  /** Absent: nobody is there, and what servers ask is declined. */
  ask: Elicit | undefined;

  constructor(private readonly terminal: Terminal) {}

  readonly answer: Elicit = async (server, request) => {
    if (this.ask) return this.ask(server, request);
    this.terminal.warn(`MCP server ${server} asks, and nobody is there to answer: ${request.message}`);
    return { action: "decline" };
  };
}

/** Ctrl-C, or the end of the input, instead of an answer. */
const left = Symbol("left");

/** @param onInterrupt Ctrl-C instead of an answer */
export function elicitOn(
  source: Pick<LineSource, "read">,
  terminal: Terminal,
  onInterrupt: () => void,
): Elicit {
  const read = async (prompt: string): Promise<string | typeof left> => {
    const line = await source.read(printable(prompt));
    return line.type === "line" ? line.text.trim() : left;
  };
  return async (server, request) => {
    terminal.status.clear();
    terminal.endAnswer();
    terminal.say(`MCP server ${server} asks: ${request.message}`);
    const answer = "url" in request ? await visit(request.url, read) : await fillIn(request, read, terminal);
    if (answer !== left) return answer;
    onInterrupt();
    return { action: "cancel" };
  };
}

type Read = (prompt: string) => Promise<string | typeof left>;

/** The page is the user's to open: what stands behind it is the server's choice. */
async function visit(url: string, read: Read): Promise<Answer | typeof left> {
  const goes = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  if (!goes) return { action: "decline" };
  const agreed = await agree(`Open ${url} in a browser, if you trust it. Done? [y]es, [n]o: `, read);
  return agreed === left ? left : { action: agreed ? "accept" : "decline" };
}

async function fillIn(
  { requestedSchema }: { readonly requestedSchema?: unknown },
  read: Read,
  terminal: Terminal,
): Promise<Answer | typeof left> {
  const { properties, required } = Object(requestedSchema) as {
    readonly properties?: Readonly<Record<string, Field>>;
    readonly required?: readonly string[];
  };
  const fields = Object.entries(properties ?? {});
  const agreed = await agree("Answer it? [y]es, [n]o: ", read);
  if (agreed === left) return left;
  if (!agreed) return { action: "decline" };
  const content: Record<string, Value> = {};
  for (const [name, field] of fields) {
    const value = await fieldValue(name, field, required?.includes(name) ?? false, read, terminal);
    if (value === left) return left;
    if (value !== undefined) content[name] = value;
  }
  return { action: "accept", content };
}

async function agree(prompt: string, read: Read): Promise<boolean | typeof left> {
  for (;;) {
    const said = await read(prompt);
    if (said === left) return left;
    const agreed = yesOrNo(said);
    if (agreed !== undefined) return agreed;
  }
}

/** Asks until the field's schema allows what is said; undefined where the field is left out. */
async function fieldValue(
  name: string,
  field: Field,
  required: boolean,
  read: Read,
  terminal: Terminal,
): Promise<Value | undefined | typeof left> {
  const choices = choicesOf(field.type === "array" ? Object(field.items) : field);
  for (;;) {
    const said = await read(promptOf(name, field, required, choices));
    if (said === left) return left;
    if (said === "" && field.default !== undefined) return field.default as Value;
    if (said === "" && !required) return undefined;
    const value = parsed(said, field, choices);
    const problem = value === undefined ? "is missing" : schemaProblem(field, value);
    if (problem === undefined) return value;
    terminal.say(`${name}: ${problem}`);
  }
}

function promptOf(name: string, field: Field, required: boolean, choices: readonly Choice[]): string {
  const { title, description, default: usual } = field;
  const label = typeof title === "string" && title !== "" ? title : name;
  const told = typeof description === "string" && description !== "" ? ` (${description})` : "";
  const listed = choices.map((choice, index) => `${index + 1} ${choice.title}`).join(", ");
  const several = field.type === "array" ? "some of " : "";
  const kind = listed !== "" ? ` [${several}${listed}]` : field.type === "boolean" ? " [y/n]" : "";
  const empty =
    usual !== undefined ? ` {${[usual].flat().join(", ")}}` : required ? "" : " {may be left out}";
  return `${label}${told}${kind}${empty}: `;
}

interface Choice {
  readonly value: string;
  readonly title: string;
}

/** In each of the protocol's forms of a choice. */
function choicesOf(field: Field): readonly Choice[] {
  const titled = [field.oneOf, field.anyOf].find((list) => Array.isArray(list));
  if (Array.isArray(titled)) {
    return titled
      .filter((one) => isObject(one))
      .map((one) => ({ value: String(one.const), title: String(one.title ?? one.const) }));
  }
  if (!Array.isArray(field.enum)) return [];
  const names = Array.isArray(field.enumNames) ? field.enumNames : [];
  return field.enum.map((value, index) => ({ value: String(value), title: String(names[index] ?? value) }));
}

/** Undefined where nothing was said. */
function parsed(said: string, field: Field, choices: readonly Choice[]): Value | undefined {
  const chosen = (word: string) =>
    choices.find(({ value, title }) => value === word || title === word)?.value ??
    choices[Number(word) - 1]?.value ??
    word;
  if (field.type === "array") {
    return said
      .split(",")
      .map((word) => chosen(word.trim()))
      .filter((word) => word !== "");
  }
  if (said === "") return undefined;
  if (choices.length > 0) return chosen(said);
  if (field.type === "boolean") return yesOrNo(said) ?? said;
  if (field.type === "number" || field.type === "integer") {
    return /^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(said) ? Number(said) : said;
  }
  return said;
}

function yesOrNo(said: string): boolean | undefined {
  if (/^(y|yes|true)$/i.test(said)) return true;
  return /^(n|no|false)$/i.test(said) ? false : undefined;
}
