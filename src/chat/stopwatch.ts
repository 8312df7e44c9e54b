import type { Stats } from "./result.ts";

/** Times one run, from its making on. */
export class Stopwatch {
  readonly #start = performance.now();
  #prefillEnd = this.#start;
  #firstToken: number | undefined;
  #lastToken = this.#start;
  #prefilled = 0;
  #made = 0;

  /** @param tokens prompt tokens run so far, cached ones left out */
  prefilled(tokens: number): void {
    this.#prefilled = tokens;
    this.#prefillEnd = performance.now();
  }

  /** `tokens` more were made. */
  made(tokens: number): void {
    this.#lastToken = performance.now();
    this.#firstToken ??= this.#lastToken;
    this.#made += tokens;
  }

  /** The first token costs no step: it comes from the prefill's logits. */
  stats(): Omit<Stats, "loadMs"> {
    return {
      ttftMs: this.#firstToken === undefined ? 0 : this.#firstToken - this.#start,
      prefillTps: rate(this.#prefilled, this.#prefillEnd - this.#start),
      decodeTps: rate(this.#made - 1, this.#lastToken - this.#prefillEnd),
      peakBytes: process.resourceUsage().maxRSS * 1024,
    };
  }
}

/** A second; 0 where nothing was measured. */
function rate(count: number, ms: number): number {
  return count > 0 && ms > 0 ? (1000 * count) / ms : 0;
}
