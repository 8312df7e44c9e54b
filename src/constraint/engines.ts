/** The constraints of one model: what is made of its vocabulary is made once, and schemas that come again are known. */
import { afterThought, type ThoughtOptions } from "./after-thought.ts";
import { ByteConstraint, type Compiled, newMasks } from "./byte-constraint.ts";
import type { AnyMachine } from "./byte-machine.ts";
import type { Callable } from "./callable.ts";
import type { Constraint } from "./constraint.ts";
import { either } from "./either.ts";
import { type Grammar, Grammars } from "./grammar.ts";
import { jsonCallMachine } from "./json-call-machine.ts";
import { jsonAnswer } from "./json-machine.ts";
import { type Check, checkOf, type JsonSchema } from "./json-schema.ts";
import { pythonCallMachine } from "./python-call-machine.ts";
import { Recent } from "./recent.ts";
import { callsOnly, textWithCalls, textWithoutCalls } from "./reply-machine.ts";
import type { Tags } from "./tag.ts";
import { Vocabulary, type VocabularySource } from "./vocabulary.ts";
import { xmlCallMachine } from "./xml-call-machine.ts";

export interface EnginesSource extends VocabularySource {
  /** Bytes as the characters by which GPT-2's vocabularies write them. */
  readonly byteCharacters: readonly string[];
}

/** How calls are written: as MiniCPM4, Qwen or MiniCPM5 write them. */
export type CallForm = "python" | "json" | "xml";

/** What may be called and what has to be. `one`: exactly one call. */
export interface CallRules {
  readonly form: CallForm;
  readonly tools: readonly Callable[];
  readonly tags: Tags;
  readonly calls: "none" | "free" | "required" | "one";
}

/** Machines remembered for schemas and tools that come again. */
const mostCompiled = 16;

export class Engines {
  #vocabulary: Vocabulary | undefined;
  #grammars: Grammars | undefined;
  readonly #compiled = new Recent<Compiled>(mostCompiled);
  readonly #checks = new Recent<Check>(mostCompiled);

  constructor(private readonly source: EnginesSource) {}

  get vocabulary(): Vocabulary {
    this.#vocabulary ??= new Vocabulary(this.source);
    return this.#vocabulary;
  }

  /** JSON of a schema, or calls where there are rules for them. @throws ConstraintError */
  schema(schema: JsonSchema, thoughts: ThoughtOptions, rules?: CallRules): Constraint {
    return this.#start({ schema, thoughts, rules }, () => {
      const json = jsonAnswer(schema);
      const body: AnyMachine = rules ? either(blocks(rules), json) : json;
      return afterThought(body, thoughts);
    });
  }

  /**
   * Text and calls as the rules allow them.
   *
   * @throws ConstraintError naming the tool that cannot be called.
   */
  calls(rules: CallRules, thoughts: ThoughtOptions): Constraint {
    return this.#start({ thoughts, rules }, () => {
      const { tags, calls } = rules;
      if (calls === "none") return afterThought(textWithoutCalls(tags), thoughts);
      const body: AnyMachine = calls === "free" ? textWithCalls(tags, block(rules)) : blocks(rules);
      return afterThought(body, thoughts);
    });
  }

  /** @throws ConstraintError where the grammar is none. */
  grammar(grammar: Grammar, thoughts: ThoughtOptions): Promise<Constraint> {
    this.#grammars ??= new Grammars(this.vocabulary, this.source.byteCharacters);
    return this.#grammars.start(grammar, thoughts);
  }

  /** A check of values. @throws ConstraintError where the schema is none. */
  check(schema: JsonSchema): Check {
    return this.#checks.take(JSON.stringify(schema), () => checkOf(schema));
  }

  #start(what: object, make: () => AnyMachine): Constraint {
    const { machine, masks } = this.#compiled.take(JSON.stringify(what), () => ({
      machine: make(),
      masks: newMasks(),
    }));
    return new ByteConstraint(machine, this.vocabulary, masks);
  }
}

/** Of MiniCPM4's form one block has all calls, of the others each has one. */
function block({ form, tools, tags: { end }, calls }: CallRules): AnyMachine {
  if (form === "json") return jsonCallMachine(tools, { end });
  if (form === "xml") return xmlCallMachine(tools, { end });
  return pythonCallMachine(tools, { end, ...(calls === "one" && { most: 1 }) });
}

function blocks(rules: CallRules): AnyMachine {
  const several = rules.form !== "python" && rules.calls !== "one";
  return callsOnly(rules.tags, block(rules), { several });
}
