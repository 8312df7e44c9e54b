import { Run, type RunBody } from "./generation.ts";
import { checkOptions, signalOf } from "./option-checks.ts";

/** The runs that somebody owns, until they are over. */
export class Runs {
  readonly #running = new Set<Run>();

  /** Options that are none make a run that rejects. */
  start(body: RunBody, options: { readonly signal?: AbortSignal | undefined }): Run {
    const run = new Run((emit, signal) => {
      checkOptions(options);
      return body(emit, signal);
    }, signalOf(options));
    this.#running.add(run);
    run.settled().then(() => this.#running.delete(run));
    return run;
  }

  /** Aborts all and resolves when they are over. */
  async abort(): Promise<void> {
    const runs = [...this.#running];
    for (const run of runs) run.abort();
    await Promise.all(runs.map((run) => run.settled()));
  }
}
