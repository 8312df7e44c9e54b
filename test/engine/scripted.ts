/** A native model whose answers are written down beforehand, true to the docstrings of src/native/binding.ts. */
import { isAllowed } from "../../src/constraint/constraint.ts";
import type {
  DecodeOptions,
  MemoryPlan,
  NativeModel,
  NativeSampling,
  NativeSequence,
  OpProfile,
  StopReason,
  TokenEvent,
} from "../../src/native/binding.ts";
import { tokenEvent } from "./token-event.ts";

export interface Script {
  /** One answer for each prefill, in order, stop token included; the last one serves all that follow. */
  readonly answers: readonly (readonly number[])[];
  /** What comes when an answer is used up. Default 0. */
  readonly filler?: number;
  /** Tokens of one event. Default 1. */
  readonly batch?: number;
  /** Tokens of one prefill slice. Default 4. */
  readonly slice?: number;
  /** Tokens of each prefill that the block store has: they come as one slice, all but the last at most. */
  readonly stored?: number;
  /** Tokens that all sequences can hold together. */
  readonly room?: number;
  /** An error that the next decode ends with after this many tokens. */
  readonly failAfter?: number;
}

/** An error as the addon throws it. */
export function nativeError(nativeCode: string, message: string, ...fields: string[]): Error {
  return Object.assign(new Error(message), { nativeCode, fields });
}

export class ScriptedModel implements NativeModel {
  readonly device = "reference";
  readonly isa = "script";
  readonly threads = 1;
  readonly opsStarted = 0;
  readonly fingerprint = "scripted";
  readonly sequences: ScriptedSequence[] = [];
  disposed = false;
  #answers = 0;

  constructor(readonly script: Script) {}

  createSequence({ capacity }: { capacity: number }): ScriptedSequence {
    if (this.disposed) throw nativeError("kState", "the model is closed");
    const held = this.sequences.filter(({ disposed }) => !disposed);
    const needed = held.reduce((sum, sequence) => sum + sequence.capacity, capacity);
    const room = this.script.room ?? Number.POSITIVE_INFINITY;
    if (needed > room) throw nativeError("kOutOfMemory", "no room", `${needed}`, `${room}`, "Close some.");
    const sequence = new ScriptedSequence(this, capacity);
    this.sequences.push(sequence);
    return sequence;
  }

  memoryPlan({ capacity, sequences }: { capacity: number; sequences: number }): MemoryPlan {
    const kv = capacity * sequences;
    return { mapped: 100, weights: 0, kv, activations: 0, total: 100 + kv };
  }

  startProfile(): void {}

  stopProfile(): OpProfile {
    const none = { calls: 0, seconds: 0, bytes: 0 };
    const kinds = ["embed", "rms_norm", "linear", "quantize_rows", "rope", "kv_append"] as const;
    const others = ["pool_keys", "score_blocks", "select_blocks", "attention", "silu_mul"] as const;
    return Object.fromEntries([...kinds, ...others].map((kind) => [kind, none])) as OpProfile;
  }

  cacheStatus(): undefined {}

  spillStatus(): undefined {}

  async dispose(): Promise<void> {
    this.disposed = true;
    for (const sequence of this.sequences) sequence.dispose();
  }

  nextAnswer(): readonly number[] {
    const { answers } = this.script;
    return answers[Math.min(this.#answers++, answers.length - 1)] ?? [];
  }
}

export class ScriptedSequence implements NativeSequence {
  /** Prefilled tokens, a list a call; and the options of every decode. */
  readonly prefills: number[][] = [];
  readonly decodes: DecodeOptions[] = [];
  readonly saves: string[] = [];
  disposed = false;
  #tokens: number[] = [];
  #pending: number | undefined;
  #answer: readonly number[] = [];
  #made = 0;
  /** Where in the answer the token that `sample` chose last stands. */
  #sampled = -1;
  #hasLogits = false;
  #calls = 0;
  #epoch = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly model: ScriptedModel,
    readonly capacity: number,
  ) {}

  get length(): number {
    return this.#tokens.length;
  }

  tokens(): Int32Array {
    this.#expectIdle();
    return Int32Array.from(this.#tokens);
  }

  prefill(
    tokens: Int32Array,
    onProgress?: (done: number, cached: number) => void,
  ): Promise<"done" | "cancelled"> {
    const list = [...tokens];
    return this.#queue(async (cancelled) => {
      if (list.length === 0) throw nativeError("kState", "prefill needs a token");
      if (this.length + list.length > this.capacity) this.#overflow(list.length);
      this.#pending = undefined;
      this.prefills.push(list);
      const cached = Math.min(this.model.script.stored ?? 0, list.length - 1);
      this.#tokens.push(...list.slice(0, cached));
      for (let done = cached; done < list.length; ) {
        await tick();
        if (cancelled()) return "cancelled";
        const slice = list.slice(done, done + (this.model.script.slice ?? 4));
        this.#tokens.push(...slice);
        done += slice.length;
        onProgress?.(done, cached);
      }
      this.#answer = this.model.nextAnswer();
      this.#made = 0;
      this.#hasLogits = true;
      return "done";
    });
  }

  save(folder: string): Promise<"done" | "cancelled"> {
    return this.#queue(async () => {
      this.saves.push(folder);
      return "done" as const;
    });
  }

  decode(options: DecodeOptions, onTokens: (event: TokenEvent) => void): Promise<StopReason> {
    return this.#queue(async (cancelled) => {
      this.decodes.push(options);
      const { batch = 1, failAfter = Number.POSITIVE_INFINITY } = this.model.script;
      const stops = new Set(options.stopTokens);
      let made: number[] = [];
      const emit = () => {
        if (made.length > 0) onTokens(tokenEvent(made, options.sampling));
        made = [];
      };
      for (let count = 0; count < options.count; count++) {
        await tick();
        if (cancelled()) {
          emit();
          return "cancelled";
        }
        if (count >= failAfter) throw nativeError("kState", "the script fails here");
        this.#stepPending();
        if (!this.#hasLogits) throw nativeError("kState", "there are no logits");
        const token = this.#answer[this.#made++] ?? this.model.script.filler ?? 0;
        this.#pending = token;
        made.push(token);
        if (made.length === batch) emit();
        if (stops.has(token)) {
          emit();
          return "stop";
        }
      }
      emit();
      return "count";
    });
  }

  truncate(length: number): void {
    this.#expectIdle();
    if (length > this.length)
      throw nativeError("kState", `cannot truncate ${this.length} tokens to ${length}`);
    this.#tokens.length = length;
    this.#pending = undefined;
    this.#hasLogits = false;
  }

  fork(): ScriptedSequence {
    this.#expectIdle();
    const child = this.model.createSequence({ capacity: this.capacity });
    child.#tokens = [...this.#tokens];
    child.#pending = this.#pending;
    child.#hasLogits = this.#hasLogits;
    child.#answer = this.#answer;
    child.#made = this.#made;
    return child;
  }

  cancel(): void {
    this.#epoch++;
  }

  dispose(): void {
    this.disposed = true;
    this.cancel();
  }

  step(): Promise<"done" | "cancelled"> {
    return this.#queue(async () => {
      this.#stepPending();
      this.#made = this.#sampled + 1;
      return "done" as const;
    });
  }

  /** What a mask refuses of the script is passed over; where it refuses all that is left, its first token comes. */
  async sample(sampling: NativeSampling, mask?: Uint32Array): Promise<TokenEvent> {
    const allowed = (token: number) => mask === undefined || isAllowed(mask, token);
    const left = this.#answer.findIndex((token, at) => at >= this.#made && allowed(token));
    this.#sampled = left < 0 ? this.#answer.length : left;
    const other = mask && [...Array(mask.length * 32).keys()].find(allowed);
    const token = this.#answer[this.#sampled] ?? other ?? this.model.script.filler ?? 0;
    this.#pending = token;
    return tokenEvent([token], sampling);
  }

  score(): Promise<Float32Array> {
    throw new Error("not scripted");
  }

  meanHidden(): Promise<Float32Array> {
    throw new Error("not scripted");
  }

  logits(): Float32Array {
    throw new Error("not scripted");
  }

  hidden(): Float32Array {
    throw new Error("not scripted");
  }

  fillForBench(): Promise<void> {
    throw new Error("not scripted");
  }

  #stepPending(): void {
    if (this.#pending === undefined) return;
    if (this.length + 1 > this.capacity) this.#overflow(1);
    this.#tokens.push(this.#pending);
    this.#pending = undefined;
  }

  #overflow(more: number): never {
    const needed = String(this.length + more);
    throw nativeError("kContext", "the context is full", needed, String(this.capacity));
  }

  #expectIdle(): void {
    if (this.disposed) throw nativeError("kState", "the sequence is disposed");
    if (this.#calls > 0) throw nativeError("kState", "the sequence is busy");
  }

  /** Runs calls one after the other; those queued before a cancel end as cancelled. */
  #queue<Outcome>(work: (cancelled: () => boolean) => Promise<Outcome>): Promise<Outcome | "cancelled"> {
    if (this.disposed) throw nativeError("kState", "the sequence is disposed");
    const epoch = this.#epoch;
    const cancelled = () => epoch !== this.#epoch;
    this.#calls++;
    const result = this.#last.then(async () => {
      try {
        return cancelled() ? "cancelled" : await work(cancelled);
      } finally {
        this.#calls--;
      }
    });
    this.#last = result.catch(() => {});
    return result;
  }
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
