import type { Result } from "./result.ts";

/** What happens during a run, in order: prefill progress, then thinking and text, then one finish. */
export type GenerationEvent =
  /** Tokens of the prompt: `done` (cached ones included) of `total`. */
  | { readonly type: "prefill"; readonly done: number; readonly total: number; readonly cached: number }
  | { readonly type: "thinking"; readonly delta: string }
  | { readonly type: "text"; readonly delta: string }
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
