import { Session } from "node:inspector";

/** One block of code: "script:start-end". */
export type Block = string;

/** Which blocks run, by V8's own precise coverage. */
export class Coverage {
  readonly #session = new Session();
  readonly #counts: (url: string) => boolean;

  /** @param counts whether the blocks of a script count, by its URL */
  constructor(counts: (url: string) => boolean) {
    this.#counts = counts;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** The blocks that `action` runs. Asking takes milliseconds: let it do more than one thing. */
  of(action: () => void): Block[] {
    this.#take();
    action();
    return this.#take();
  }

  close(): void {
    this.#session.disconnect();
  }

  /** What ran since the last call. */
  #take(): Block[] {
    const blocks: Block[] = [];
    // Answered before it returns: the inspector of one's own thread is synchronous.
    this.#session.post("Profiler.takePreciseCoverage", (error, answer) => {
      if (error) throw error;
      for (const { url, functions } of answer.result) {
        if (!this.#counts(url)) continue;
        for (const { startOffset, endOffset, count } of functions.flatMap(({ ranges }) => ranges)) {
          if (count > 0) blocks.push(`${url}:${startOffset}-${endOffset}`);
        }
      }
    });
    return blocks;
  }
}
