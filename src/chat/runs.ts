import { Run, type RunBody } from "./generation.ts";

/** The runs that somebody owns, until they are over. */
export class Runs {
  readonly #running = new Set<Run>();

  start(body: RunBody, signal: AbortSignal | undefined): Run {
    const run = new Run(body, signal);
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
