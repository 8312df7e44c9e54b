import { AbortError } from "../errors.ts";

/** Lets one at a time through, in the order of asking. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #inside = 0;

  /** Somebody runs or waits. */
  get busy(): boolean {
    return this.#inside > 0;
  }

  /** Runs `work` when those before it have ended. @throws AbortError at once if `signal` fires while it waits. */
  take<Value>(work: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
    this.#inside++;
    const before = this.#last;
    const result = unlessAborted(before, signal)
      .then(work)
      .finally(() => {
        this.#inside--;
      });
    this.#last = Promise.allSettled([before, result]);
    return result;
  }
}

function unlessAborted(wait: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new AbortError(undefined, { cause: signal.reason }));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    wait.then(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
  });
}
