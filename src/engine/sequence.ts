import { AbortError } from "../errors.ts";
import type {
  DecodeOptions,
  NativeSampling,
  NativeSequence,
  StopReason,
  TokenEvent,
} from "../native/binding.ts";
import { publicError, withPublicErrors } from "../native/error-table.ts";

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Who counts the sequences that hold memory. */
export interface Census {
  born(): void;
  gone(): void;
}

/**
 * One list of tokens and their keys and values: NativeSequence with errors of errors.ts, and AbortSignals.
 * An aborted call rejects with AbortError; what it finished before stays.
 */
export class Sequence {
  readonly #native: NativeSequence;
  readonly #census: Census | undefined;
  #disposed = false;

  constructor(native: NativeSequence, census?: Census) {
    this.#native = native;
    this.#census = census;
    census?.born();
  }

  /** Tokens held; grows while a call runs. */
  get length(): number {
    return this.#native.length;
  }

  get capacity(): number {
    return this.#native.capacity;
  }

  /** The tokens held, a copy. @throws StateError while a call runs. */
  tokens(): Int32Array {
    return withPublicErrors(() => this.#native.tokens());
  }

  /** Appends tokens; `onProgress(done, cached)` counts those of this call, and of them those found in the block store, or in `folder`, which `save` has filled. */
  async prefill(
    tokens: Int32Array,
    onProgress: (done: number, cached: number) => void,
    { folder, ...options }: RunOptions & { readonly folder?: string } = {},
  ): Promise<void> {
    await this.#run(() => this.#native.prefill(tokens, onProgress, folder), options);
  }

  /**
   * Has `folder` hold the keys and values of all full blocks as files; those in `previous` are linked, not copied.
   *
   * @throws StorageError
   */
  async save(folder: string, previous?: string, options: RunOptions = {}): Promise<void> {
    await this.#run(() => this.#native.save(folder, previous), options);
  }

  /** Makes tokens until `count` or a stop token, which is delivered too. */
  async decode(
    decode: DecodeOptions,
    onTokens: (event: TokenEvent) => void,
    options: RunOptions = {},
  ): Promise<Exclude<StopReason, "cancelled">> {
    return this.#run(() => this.#native.decode(decode, onTokens), options);
  }

  /** Runs the token that was sampled last. */
  async step(options: RunOptions = {}): Promise<void> {
    await this.#run(() => this.#native.step(), options);
  }

  /** Chooses the next token, of those whose bit is set in `mask` where there is one. A second call chooses anew. */
  sample(sampling: NativeSampling, mask?: Uint32Array, options: RunOptions = {}): Promise<TokenEvent> {
    return this.#value(() => this.#native.sample(sampling, mask), options);
  }

  /** Appends tokens; the mean of their hidden states, `[hiddenSize]`. An abort rejects with AbortError. */
  meanHidden(tokens: Int32Array, options: RunOptions = {}): Promise<Float32Array> {
    return this.#value(() => this.#native.meanHidden(tokens), options);
  }

  /** Forgets the tokens from `length` on. @throws StateError while a call runs. */
  truncate(length: number): void {
    withPublicErrors(() => this.#native.truncate(length));
  }

  /**
   * Another sequence that begins with the same tokens and shares their memory.
   *
   * @throws StateError while a call runs, OutOfMemoryError when what it may still grow does not fit.
   */
  fork(): Sequence {
    return withPublicErrors(() => new Sequence(this.#native.fork(), this.#census));
  }

  /** Ends what runs and frees the memory. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#native.dispose();
    this.#census?.gone();
  }

  async #run<Outcome extends string>(
    start: () => Promise<Outcome | "cancelled">,
    { signal }: RunOptions,
  ): Promise<Exclude<Outcome, "cancelled">> {
    try {
      const outcome = await this.#cancellable(start, signal);
      if (outcome === "cancelled") throw new AbortError(undefined, { cause: signal?.reason });
      return outcome as Exclude<Outcome, "cancelled">;
    } catch (error) {
      throw publicError(error);
    }
  }

  /** For calls that give a value instead of an outcome, and fail when they are cancelled. */
  async #value<Value>(start: () => Promise<Value>, { signal }: RunOptions): Promise<Value> {
    try {
      return await this.#cancellable(start, signal);
    } catch (error) {
      throw signal?.aborted ? new AbortError(undefined, { cause: signal.reason }) : publicError(error);
    }
  }

  /** Cancels what runs when `signal` fires; starts nothing where it has. */
  async #cancellable<Value>(start: () => Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
    if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
    const cancel = () => this.#native.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await start();
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }
}
