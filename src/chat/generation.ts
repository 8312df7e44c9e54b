import type { ToolRun } from "../tools/make-call.ts";
import type { ToolCall, ToolProgress } from "../tools/tool.ts";
import type { ReplyPiece } from "./reply-output.ts";
import type { Result } from "./result.ts";

/**
 * What happens during a run, in order: prefill progress, then thinking, text and calls; where calls are made, their
 * progress and results, a step, and the same again; then one finish.
 */
export type GenerationEvent =
  /** Tokens of the prompt: `done` (cached ones included) of `total`. */
  | { readonly type: "prefill"; readonly done: number; readonly total: number; readonly cached: number }
  /** Thinking and text as they come, a call when it is complete. */
  | ReplyPiece
  | { readonly type: "tool-progress"; readonly call: ToolCall; readonly progress: ToolProgress }
  /** A call is over, made or not. */
  | { readonly type: "tool-result"; readonly run: ToolRun }
  /** So many answers are made; the next begins, from the results. */
  | { readonly type: "step"; readonly step: number }
  | { readonly type: "finish"; readonly result: Result };

/**
 * One run, started by the call that returned it. Await it for the Result, iterate it for the text as it comes, or read
 * everything from `events()`: each sees the whole run, and it runs once however many look.
 *
 * Breaking out of an iteration aborts the run. Errors reject what is awaited and end what is iterated; an aborted run
 * does so with AbortError, whose `partial` is the Result so far. A run nobody looks at fails silently.
 */
export interface Generation extends PromiseLike<Result>, AsyncIterable<string> {
  events(): AsyncIterable<GenerationEvent>;
}

/** Makes a Result, telling what happens on the way; rejects with AbortError when `signal` fires. */
export type RunBody = (emit: (event: GenerationEvent) => void, signal: AbortSignal) => Promise<Result>;

/** A Generation as its owner sees it: it can be aborted and waited for. */
export class Run implements Generation {
  readonly #events: GenerationEvent[] = [];
  readonly #stop = new AbortController();
  readonly #result: Promise<Result>;
  #ended = false;
  /** Readers that wait for the next event or the end. */
  #readers: (() => void)[] = [];

  /** Starts at once. @param signal the caller's */
  constructor(body: RunBody, signal?: AbortSignal) {
    const abort = () => this.#stop.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    this.#result = this.#run(body).finally(() => signal?.removeEventListener("abort", abort));
    this.#result.catch(() => {}); // it reaches whoever looks; a run nobody looks at must not end the process
  }

  abort(reason?: unknown): void {
    this.#stop.abort(reason);
  }

  /** Resolves when the run is over, however it ended. */
  async settled(): Promise<void> {
    await this.#result.catch(() => {});
  }

  // biome-ignore lint/suspicious/noThenProperty: a Generation can be awaited
  then<Value = Result, Other = never>(
    onResult?: ((result: Result) => Value | PromiseLike<Value>) | null,
    onError?: ((error: unknown) => Other | PromiseLike<Other>) | null,
  ): Promise<Value | Other> {
    return this.#result.then(onResult, onError);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void> {
    for await (const event of this.events()) {
      if (event.type === "text") yield event.delta;
    }
  }

  async *events(): AsyncGenerator<GenerationEvent, void> {
    try {
      for (let next = 0; ; next++) {
        while (next === this.#events.length && !this.#ended) await this.#change();
        const event = this.#events[next];
        if (!event) break;
        yield event;
      }
      await this.#result;
    } finally {
      this.abort();
    }
  }

  async #run(body: RunBody): Promise<Result> {
    try {
      const result = await body((event) => this.#add(event), this.#stop.signal);
      this.#add({ type: "finish", result });
      return result;
    } finally {
      this.#ended = true;
      this.#wake();
    }
  }

  #add(event: GenerationEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#readers.splice(0)) resolve();
  }
}
