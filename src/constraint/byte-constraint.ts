import type { AnyMachine, ByteMachine } from "./byte-machine.ts";
import { allow, type Constraint, maskWords } from "./constraint.ts";
import { Recent } from "./recent.ts";
import { root, type TokenTree, type Vocabulary } from "./vocabulary.ts";

/** Masks by the machine's keys: all constraints of one machine share them. */
export type Masks = Recent<Uint32Array>;

export function newMasks(): Masks {
  return new Recent(256); // of 9 KiB each for 73,448 tokens
}

/** A stop token was taken. */
const ended = Symbol("ended");

/** A machine over bytes as a constraint over tokens. */
export class ByteConstraint<State> implements Constraint {
  readonly #machine: ByteMachine<State>;
  readonly #vocabulary: Vocabulary;
  readonly #masks: Masks;
  /** The state before the first token and after each. */
  readonly #states: (State | typeof ended)[];

  constructor(
    machine: ByteMachine<State>,
    vocabulary: Vocabulary,
    masks = newMasks(),
    states?: readonly (State | typeof ended)[],
  ) {
    this.#machine = machine;
    this.#vocabulary = vocabulary;
    this.#masks = masks;
    this.#states = states ? [...states] : [machine.start];
  }

  get isDone(): boolean {
    const state = this.#state;
    return state === ended || this.#machine.isDone(state);
  }

  get isWhole(): boolean {
    const state = this.#state;
    return state === ended || this.#machine.isWhole(state);
  }

  accept(token: number): boolean {
    const next = this.#after(this.#state, token);
    if (next === undefined) return false;
    this.#states.push(next);
    return true;
  }

  fill(mask: Uint32Array): void {
    const state = this.#state;
    mask.fill(0);
    if (state === ended) return;
    const key = this.#machine.key?.(state);
    const known = key === undefined ? undefined : this.#masks.get(key);
    if (known) {
      mask.set(known);
      return;
    }
    const room = this.#machine.stringRoom?.(state);
    if (room !== undefined) mask.set(this.#vocabulary.plain(room));
    const { all, notPlain } = this.#vocabulary;
    this.#reach(room === undefined ? all : notPlain, state, (token) => {
      allow(mask, token);
      return true;
    });
    if (this.#machine.isWhole(state)) for (const token of this.#vocabulary.stopTokens) allow(mask, token);
    if (key !== undefined) this.#masks.set(key, mask.slice(0, maskWords(this.#vocabulary.vocabSize)));
  }

  forced(limit: number): number[] {
    const tokens: number[] = [];
    let state: State | typeof ended | undefined = this.#state;
    while (tokens.length < limit && state !== undefined && state !== ended) {
      const [only, another] = this.#first(state, 2);
      if (only === undefined || another !== undefined) break;
      tokens.push(only);
      state = this.#after(state, only);
    }
    return tokens;
  }

  rollback(count: number): void {
    this.#states.length = Math.max(1, this.#states.length - count);
  }

  fork(): ByteConstraint<State> {
    return new ByteConstraint(this.#machine, this.#vocabulary, this.#masks, this.#states);
  }

  dispose(): void {}

  get #state(): State | typeof ended {
    return this.#states.at(-1) as State | typeof ended;
  }

  #after(from: State | typeof ended, token: number): State | typeof ended | undefined {
    if (from === ended) return undefined;
    if (this.#vocabulary.stopTokens.includes(token)) return this.#machine.isWhole(from) ? ended : undefined;
    const bytes = this.#vocabulary.bytes(token);
    if (!bytes) return undefined;
    let state: State | undefined = from;
    for (let at = 0; at < bytes.length && state !== undefined; at++) {
      state = this.#machine.next(state, bytes[at] as number);
    }
    return state;
  }

  /** The first `count` tokens that may follow, stop tokens first. */
  #first(state: State, count: number): number[] {
    const tokens = this.#machine.isWhole(state) ? [...this.#vocabulary.stopTokens.subarray(0, count)] : [];
    this.#reach(this.#vocabulary.all, state, (token) => {
      if (tokens.length < count) tokens.push(token);
      return tokens.length < count;
    });
    return tokens;
  }

  /** Calls `found` with the tokens of the tree that may follow, until it returns false. */
  #reach(tree: TokenTree, from: State, found: (token: number) => boolean): void {
    const { byte, child, sibling, token } = tree;
    const nodes = [root];
    const states = [from];
    while (nodes.length > 0) {
      const node = nodes.pop() as number;
      const state = states.pop() as State;
      for (let at = child[node] as number; at >= 0; at = sibling[at] as number) {
        const next = this.#machine.next(state, byte[at] as number);
        if (next === undefined) continue;
        const ends = token[at] as number;
        if (ends >= 0 && !found(ends)) return;
        nodes.push(at);
        states.push(next);
      }
    }
  }
}

/** A machine with the masks that were made of it. */
export interface Compiled {
  readonly machine: AnyMachine;
  readonly masks: Masks;
}
