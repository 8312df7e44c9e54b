/** Grammars as EBNF, regular expressions and tags: the engine is @mlc-ai/web-xgrammar (engines/README.md). */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { ConstraintError } from "../errors.ts";
import type { ThoughtOptions } from "./after-thought.ts";
import { type Constraint, isAllowed } from "./constraint.ts";
import { checkGrammar } from "./grammar-check.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * What an answer's text has to be: EBNF as XGrammar reads it (rules `name ::= ...`, one of them `root`), a regular
 * expression that all of it matches, or XGrammar's structural tags.
 */
export type Grammar =
  | string
  | { readonly ebnf: string }
  | { readonly regex: string }
  | { readonly tags: object };

interface Handle {
  dispose(): void;
}

interface Matcher extends Handle {
  acceptToken(token: number): boolean;
  getNextTokenBitmask(): Promise<Int32Array>;
  rollBack(count: number): void;
}

interface Compiler extends Handle {
  compileStructuralTag(tags: object): Promise<Handle>;
}

interface Engine {
  readonly TokenizerInfo: {
    createTokenizerInfo(
      tokens: readonly string[],
      type: "byte_level",
      prependSpace: boolean,
      vocabSize: number,
      stopTokens: readonly number[],
    ): Promise<Handle>;
  };
  readonly GrammarCompiler: { createGrammarCompiler(tokenizer: Handle): Promise<Compiler> };
  readonly GrammarMatcher: { createGrammarMatcher(grammar: Handle): Promise<Matcher> };
}

/** Longer ones are nobody's. */
const mostBytes = 64 * 1024;

/** The grammars of one vocabulary. */
export class Grammars {
  #compiler: Promise<Compiler> | undefined;
  /** Texts of grammars that were tried. */
  readonly #good = new Set<string>();

  constructor(
    private readonly vocabulary: Vocabulary,
    /** Bytes as the characters by which GPT-2's vocabularies write them. */
    private readonly byteCharacters: readonly string[],
  ) {}

  /** A constraint that has taken nothing. @throws ConstraintError where the grammar is none. */
  async start(grammar: Grammar, thoughts: ThoughtOptions): Promise<Constraint> {
    const tags = { type: "structural_tag", format: answerFormat(grammar, thoughts) };
    const text = JSON.stringify(tags);
    if (text.length > mostBytes) throw new ConstraintError("grammar", `it is longer than ${mostBytes} bytes`);
    if (!this.#good.has(text)) await checkGrammar(tags);
    this.#good.add(text);
    this.#compiler ??= this.#makeCompiler();
    const compiled = await (await this.#compiler).compileStructuralTag(tags);
    return GrammarConstraint.start(compiled, this.vocabulary);
  }

  async #makeCompiler(): Promise<Compiler> {
    const { vocabSize, stopTokens } = this.vocabulary;
    const tokens = Array.from({ length: vocabSize }, (_, token) =>
      Array.from(this.vocabulary.bytes(token) ?? [], (byte) => this.byteCharacters[byte]).join(""),
    );
    const { TokenizerInfo, GrammarCompiler } = engine();
    const stops = [...stopTokens];
    return GrammarCompiler.createGrammarCompiler(
      await TokenizerInfo.createTokenizerInfo(tokens, "byte_level", false, vocabSize, stops),
    );
  }
}

/** A matcher of the engine's. It must not be asked for anything once it has taken a stop token. */
class GrammarConstraint implements Constraint {
  readonly #taken: number[] = [];
  #ended = false;

  private constructor(
    private readonly compiled: Handle,
    private readonly vocabulary: Vocabulary,
    private readonly matcher: Matcher,
  ) {}

  static async start(compiled: Handle, vocabulary: Vocabulary): Promise<GrammarConstraint> {
    const matcher = await engine().GrammarMatcher.createGrammarMatcher(compiled);
    return new GrammarConstraint(compiled, vocabulary, matcher);
  }

  get isDone(): boolean {
    return this.#ended;
  }

  get isWhole(): boolean {
    const [stop] = this.vocabulary.stopTokens;
    if (this.#ended || stop === undefined) return this.#ended;
    const whole = this.matcher.acceptToken(stop);
    if (whole) this.matcher.rollBack(1);
    return whole;
  }

  accept(token: number): boolean {
    const stops = this.vocabulary.stopTokens.includes(token);
    if (this.#ended || !(stops || this.vocabulary.bytes(token)) || !this.matcher.acceptToken(token))
      return false;
    this.#taken.push(token);
    this.#ended = stops;
    return true;
  }

  async fill(mask: Uint32Array): Promise<void> {
    if (this.#ended) mask.fill(0);
    else mask.set(await this.matcher.getNextTokenBitmask());
    // The engine sets the bits behind the vocabulary.
    for (let token = this.vocabulary.vocabSize; token < mask.length * 32; token++) {
      if (isAllowed(mask, token)) mask[token >>> 5] = (mask[token >>> 5] as number) & ~(1 << (token & 31));
    }
  }

  forced(): number[] {
    return [];
  }

  rollback(count: number): void {
    const known = Math.min(count, this.#taken.length);
    if (known === 0) return;
    this.matcher.rollBack(known);
    this.#taken.length -= known;
    this.#ended = false;
  }

  /** By taking the same tokens again: the engine cannot copy a matcher. */
  async fork(): Promise<Constraint> {
    const copy = await GrammarConstraint.start(this.compiled, this.vocabulary);
    for (const token of this.#taken) copy.accept(token);
    return copy;
  }

  dispose(): void {
    this.matcher.dispose();
  }
}

/** The whole answer: perhaps a space, which tokenizers put before a text; perhaps a thought; the grammar's text. */
function answerFormat(grammar: Grammar, { tags, opened }: ThoughtOptions): object {
  const body = formatOf(grammar);
  const thought = (start: string, end: string) => ({
    type: "sequence",
    elements: [{ type: "tag", begin: start, content: { type: "any_text" }, end }, regex("[ \\n]{0,4}"), body],
  });
  if (opened !== undefined) return thought("", opened);
  const answers = [...tags.map(({ start, end }) => thought(start, end)), body];
  const choice = answers.length === 1 ? body : { type: "or", elements: answers };
  return { type: "sequence", elements: [regex(" ?"), choice] };
}

function formatOf(grammar: Grammar): object {
  const {
    ebnf,
    regex: pattern,
    tags,
  } = (typeof grammar === "string" ? { ebnf: grammar } : (grammar ?? {})) as {
    readonly [kind: string]: unknown;
  };
  if (typeof ebnf === "string") return { type: "grammar", grammar: ebnf };
  if (typeof pattern === "string") return regex(pattern);
  if (typeof tags !== "object" || tags === null) {
    throw new ConstraintError("grammar", "it is neither EBNF nor { ebnf }, { regex } or { tags }");
  }
  try {
    const { format = tags } = JSON.parse(JSON.stringify(tags));
    return format;
  } catch (cause) {
    throw new ConstraintError("grammar", "its tags refer to themselves", { cause });
  }
}

function regex(pattern: string): object {
  return { type: "regex", pattern };
}

let loaded: Engine | undefined;

/** The engine with a console of its own, for it prints. */
function engine(): Engine {
  if (loaded) return loaded;
  const path = fileURLToPath(new URL("../../dist/engines/xgrammar.cjs", import.meta.url));
  const module = { exports: {} as Engine };
  const silent = { log() {}, warn() {}, error() {} };
  const parameters = ["exports", "module", "require", "__filename", "console", "importModule"];
  const source = readFileSync(path, "utf8").replaceAll("import(", "importModule(");
  const run = compileFunction(source, parameters, { filename: path });
  run(module.exports, module, process.getBuiltinModule, path, silent, (name: string) => import(name));
  loaded = module.exports;
  return loaded;
}
