/** The constraints of one model: what is made of its vocabulary is made once, and schemas that come again are known. */
import { afterThought, type ThoughtOptions } from "./after-thought.ts";
import { type Compiled, newMasks, startOf } from "./byte-constraint.ts";
import type { AnyMachine } from "./byte-machine.ts";
import { callMachine } from "./call-machine.ts";
import type { Callable } from "./callable.ts";
import type { Constraint } from "./constraint.ts";
import { either } from "./either.ts";
import { type Grammar, Grammars } from "./grammar.ts";
import { jsonAnswer } from "./json-machine.ts";
import { type Check, checkOf, type JsonSchema } from "./json-schema.ts";
import { Recent } from "./recent.ts";
import { callsOnly, textWithCalls, textWithoutCalls } from "./reply-machine.ts";
import type { Tags } from "./tag.ts";
import { Vocabulary, type VocabularySource } from "./vocabulary.ts";

export interface EnginesSource extends VocabularySource {
  /** Bytes as the characters by which GPT-2's vocabularies write them. */
  readonly byteCharacters: readonly string[];
}

/** What may be called and what has to be. `one`: the block has exactly one call. */
export interface CallRules {
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
    return this.#start({ schema, thoughts, rules }, undefined, () => {
      const json = jsonAnswer(schema);
      const body: AnyMachine = rules ? either(callsOnly(rules.tags, block(rules)), json) : json;
      return afterThought(body, thoughts);
    });
  }

  /**
   * Text and calls as the rules allow them.
   *
   * @param begun the answer's beginning, where the prompt ends with it
   * @throws ConstraintError naming the tool that cannot be called.
   */
  calls(rules: CallRules, thoughts: ThoughtOptions, begun?: string): Constraint {
    return this.#start({ thoughts, rules }, begun, () => {
      const { tags, calls } = rules;
      if (calls === "none") return afterThought(textWithoutCalls(tags), thoughts);
      const body: AnyMachine =
        calls === "free" ? textWithCalls(tags, block(rules)) : callsOnly(tags, block(rules));
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

  #start(what: object, begun: string | undefined, make: () => AnyMachine): Constraint {
    const compiled = this.#compiled.take(JSON.stringify(what), () => ({
      machine: make(),
      masks: newMasks(),
    }));
    return startOf(compiled, this.vocabulary, begun);
  }
}

function block({ tools, tags, calls }: CallRules) {
  return callMachine(tools, { end: tags.end, ...(calls === "one" && { most: 1 }) });
}
