import type { TokenEvent } from "../native/binding.ts";
import type { TokenLogprob } from "./result.ts";
import { StopMatcher } from "./stop-matcher.ts";
import { type ReplyPiece, ThinkingSplitter } from "./thinking.ts";

/** Turns tokens into text as they come; gives only whole characters. */
export interface TokenDecoder {
  push(token: number): string;
  /** No more tokens come: what an unfinished character gives. */
  end(): string;
}

export interface ReplyOptions {
  /** Starts decoding an answer. */
  readonly decoder: () => TokenDecoder;
  /** Tokens that end the answer and are no part of it. */
  readonly stopTokens: ReadonlySet<number>;
  readonly stop: readonly string[];
  /** Whether thoughts are told from text: no; yes; yes, and the prompt has opened one. */
  readonly thinking: "none" | "possible" | "opened";
}

/** An answer while it is made: tokens in, pieces of text out, cut before a stop text. */
export class Reply {
  readonly #options: ReplyOptions;
  readonly #decoder: TokenDecoder;
  readonly #stop: StopMatcher;
  readonly #thoughts: ThinkingSplitter | undefined;
  readonly #tokens: number[] = [];
  readonly #logprobs: TokenLogprob[] = [];
  /** Everything the tokens say: thoughts, their tags, a stop text. */
  #decoded = "";
  /** A stop token came. */
  #ended = false;
  #text = "";
  #thinking = "";

  constructor(options: ReplyOptions) {
    this.#options = options;
    this.#decoder = options.decoder();
    this.#stop = new StopMatcher(options.stop);
    if (options.thinking !== "none") {
      this.#thoughts = new ThinkingSplitter({ opened: options.thinking === "opened" });
    }
  }

  /** A stop text came up: the answer is complete, further tokens are ignored. */
  get stopped(): boolean {
    return this.#stop.matched;
  }

  get text(): string {
    return this.#text;
  }

  get thinking(): string {
    return this.#thinking;
  }

  /** The answer's tokens. With a stop text, those that are wholly before it. */
  get tokens(): Int32Array {
    return Int32Array.from(this.#tokens);
  }

  /** Tokens made: the answer's, and the stop token that ended it. */
  get completion(): number {
    return this.#tokens.length + (this.#ended ? 1 : 0);
  }

  get logprobs(): readonly TokenLogprob[] {
    return this.#logprobs;
  }

  /** Takes tokens; returns what they add to the answer. */
  push(event: TokenEvent): ReplyPiece[] {
    const pieces: ReplyPiece[] = [];
    for (const [index, token] of event.tokens.entries()) {
      if (this.stopped) break;
      this.#ended = this.#options.stopTokens.has(token);
      if (this.#ended) break;
      this.#tokens.push(token);
      if (event.logprobs) this.#logprobs.push(logprobOf(event, index));
      pieces.push(...this.#split(this.#decoder.push(token)));
    }
    if (this.stopped) this.#dropOvershoot();
    return this.#keep(pieces);
  }

  /** No more tokens come: returns what was held back. */
  end(): ReplyPiece[] {
    if (this.stopped) return [];
    const pieces = [...this.#split(this.#decoder.end()), ...this.#limit(this.#thoughts?.end() ?? [])];
    if (this.stopped) this.#dropOvershoot();
    else pieces.push({ type: "text", delta: this.#stop.end() });
    return this.#keep(pieces);
  }

  #split(delta: string): ReplyPiece[] {
    this.#decoded += delta;
    return this.#limit(this.#thoughts ? this.#thoughts.push(delta) : [{ type: "text", delta }]);
  }

  /** Stop texts count in the text only. */
  #limit(pieces: ReplyPiece[]): ReplyPiece[] {
    return pieces.map((piece) =>
      piece.type === "text" ? { type: "text", delta: this.#stop.push(piece.delta) } : piece,
    );
  }

  /** Adds the pieces up, and joins neighbours of one type. */
  #keep(pieces: ReplyPiece[]): ReplyPiece[] {
    const joined: ReplyPiece[] = [];
    for (const { type, delta } of pieces) {
      if (delta === "") continue;
      if (type === "text") this.#text += delta;
      else this.#thinking += delta;
      const last = joined.at(-1);
      if (last?.type === type) joined[joined.length - 1] = { type, delta: last.delta + delta };
      else joined.push({ type, delta });
    }
    return joined;
  }

  /** Drops the tokens of the stop text, and one that has a part of it. */
  #dropOvershoot(): void {
    const kept = this.#decoded.slice(0, (this.#thoughts?.textStart ?? 0) + this.#stop.passed);
    while (this.#tokens.length > 0 && !kept.startsWith(this.#decode())) {
      this.#tokens.pop();
      this.#logprobs.pop();
    }
  }

  #decode(): string {
    const decoder = this.#options.decoder();
    return this.#tokens.map((token) => decoder.push(token)).join("") + decoder.end();
  }
}

function logprobOf({ tokens, logprobs, topTokens, topLogprobs }: TokenEvent, index: number): TokenLogprob {
  const count = (topTokens?.length ?? 0) / tokens.length;
  const top = Array.from({ length: count }, (_, rank) => ({
    token: topTokens?.[index * count + rank] ?? 0,
    logprob: topLogprobs?.[index * count + rank] ?? 0,
  }));
  return { token: tokens[index] ?? 0, logprob: logprobs?.[index] ?? 0, top };
}
