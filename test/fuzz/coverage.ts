import { Session } from "node:inspector";

/** One block of code: "script:start-end". */
export type Block = string;

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

/** Which blocks run, by V8's own precise coverage. */
export class Coverage {
  readonly #session = new Session();
  readonly #counts: (url: string) => boolean;
  /**
   * Every block that V8 ever listed, by function. It lists a block only where its count differs from what is around
   * it: one that ran as often as its function is found by where it was when it did not.
   */
  readonly #known = new Map<string, Map<Block, Range>>();

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
        for (const { ranges } of functions) blocks.push(...this.#ranIn(url, ranges));
      }
    });
    return blocks;
  }

  /** The blocks of one function that ran. `ranges` begins with the function's own. */
  #ranIn(url: string, ranges: readonly Range[]): Block[] {
    const name = `${url}:${ranges[0]?.startOffset}`;
    const known = this.#known.get(name) ?? new Map<Block, Range>();
    this.#known.set(name, known);
    for (const range of ranges) known.set(`${url}:${range.startOffset}-${range.endOffset}`, range);
    // Ranges come from the outside in: the last one around a block is the closest.
    const ran = (block: Range) =>
      ranges.findLast(
        (range) => range.startOffset <= block.startOffset && block.endOffset <= range.endOffset,
      );
    return [...known].filter(([, block]) => (ran(block)?.count ?? 0) > 0).map(([name]) => name);
  }
}
