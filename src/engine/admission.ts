import { AbortError, OutOfMemoryError } from "../errors.ts";
import type { Census, Sequence } from "./sequence.ts";
import { Turns } from "./turns.ts";

/** Who may have memory for a sequence of a model, and when. */
export class Admission implements Census {
  #held = 0;
  readonly #turns = new Turns();
  /** Called when a sequence has gone, if somebody waits for that. */
  #onGone = () => {};

  /**
   * Makes a sequence, counted here, when it fits: in the order of asking, others of the model have to go first.
   *
   * @throws OutOfMemoryError where it does not fit although there is no other; AbortError when `signal` fires.
   */
  inTurn(make: () => Sequence, signal: AbortSignal): Promise<Sequence> {
    return this.#turns.take(async () => {
      for (;;) {
        try {
          return make();
        } catch (error) {
          if (!(error instanceof OutOfMemoryError) || this.#held === 0) throw error;
        }
        await this.#departure(signal);
      }
    }, signal);
  }

  born(): void {
    this.#held++;
  }

  gone(): void {
    this.#held--;
    this.#onGone();
  }

  /** Resolves when a sequence has gone. */
  #departure(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(new AbortError(undefined, { cause: signal.reason }));
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      this.#onGone = () => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
    });
  }
}
