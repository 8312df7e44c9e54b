import type { TokenEvent } from "../native/binding.ts";
import type { ToolCall, ToolDefinition } from "../tools/tool.ts";
import type { CallFormat } from "./call-format.ts";
import { type CallPiece, CallSplitter } from "./call-splitter.ts";
import { type MalformedCall, pythonCalls } from "./python-calls.ts";
import { type Piece, ReplyOutput, type ReplyPiece } from "./reply-output.ts";
import type { TokenLogprob } from "./result.ts";
import { StopMatcher } from "./stop-matcher.ts";
import { type ThinkingPiece, ThinkingSplitter } from "./thinking.ts";

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
  /** Everything is text: thoughts and calls too. */
  readonly plain?: boolean | undefined;
  /** The tag that ends a thought which the prompt has opened. */
  readonly openedThought?: string | undefined;
  /** How the model writes calls. Default: as MiniCPM4. */
  readonly calls?: CallFormat | undefined;
  /** What the model was offered. */
  readonly tools?: readonly ToolDefinition[] | undefined;
}

/** An answer while it is made: tokens in, pieces of text out, cut before a stop text. */
export class Reply {
  readonly #options: ReplyOptions;
  readonly #decoder: TokenDecoder;
  readonly #stop: StopMatcher;
  readonly #thoughts: ThinkingSplitter | undefined;
  readonly #callSplitter: CallSplitter | undefined;
  readonly #tokens: number[] = [];
  readonly #logprobs: TokenLogprob[] = [];
  readonly #output: ReplyOutput;
  /** Everything the tokens say: thoughts, calls, their tags, a stop text. */
  #decoded = "";
  /** A stop token came. */
  #ended = false;

  constructor(options: ReplyOptions) {
    this.#options = options;
    this.#decoder = options.decoder();
    this.#stop = new StopMatcher(options.stop);
    this.#output = new ReplyOutput({ plain: Boolean(options.plain) });
    if (options.plain) return;
    this.#thoughts = new ThinkingSplitter(options.openedThought);
    this.#callSplitter = new CallSplitter(options.calls ?? pythonCalls, options.tools);
  }

  /** A stop text came up: the answer is complete, further tokens are ignored. */
  get stopped(): boolean {
    return this.#stop.matched;
  }

  get text(): string {
    return this.#output.text;
  }

  get thinking(): string {
    return this.#output.thinking;
  }

  get calls(): readonly ToolCall[] {
    return this.#output.calls;
  }

  /** What stands where a call should be and is none; it is in the text too. */
  get malformedCalls(): readonly MalformedCall[] {
    return this.#output.malformedCalls;
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
    const pieces: Piece[] = [];
    for (const [index, token] of event.tokens.entries()) {
      if (this.stopped) break;
      this.#ended = this.#options.stopTokens.has(token);
      if (this.#ended) break;
      this.#tokens.push(token);
      if (event.logprobs) this.#logprobs.push(logprobOf(event, index));
      pieces.push(...this.#split(this.#decoder.push(token)));
    }
    if (this.stopped) this.#dropOvershoot();
    return this.#output.add(pieces, { final: this.stopped });
  }

  /** No more tokens come: returns what was held back. */
  end(): ReplyPiece[] {
    if (this.stopped) return [];
    const pieces = this.#split(this.#decoder.end());
    const last = this.#thoughts?.end() ?? [];
    pieces.push(...last.flatMap((piece) => this.#splitCalls(piece)));
    pieces.push(...(this.#callSplitter?.end() ?? []).flatMap((piece) => this.#limit(piece)));
    if (this.stopped) this.#dropOvershoot();
    else pieces.push({ type: "text", delta: this.#stop.end() });
    return this.#output.add(pieces, { final: true });
  }

  #split(delta: string): Piece[] {
    this.#decoded += delta;
    const pieces = this.#thoughts?.push(delta) ?? [{ type: "text", delta } as const];
    return pieces.flatMap((piece) => this.#splitCalls(piece));
  }

  #splitCalls(piece: ThinkingPiece): Piece[] {
    if (piece.type === "thinking") return [piece];
    const pieces = this.#callSplitter?.push(piece.delta) ?? [{ type: "text", delta: piece.delta } as const];
    return pieces.flatMap((part) => this.#limit(part));
  }

  /** Stop texts count in the text only, and not across calls. */
  #limit(piece: CallPiece): Piece[] {
    if (this.stopped) return [];
    if (piece.type === "text") return [{ type: "text", delta: this.#stop.push(piece.delta) }];
    return [{ type: "text", delta: this.#stop.end() }, piece];
  }

  /** Drops the tokens of the stop text, and one that has a part of it. */
  #dropOvershoot(): void {
    const kept = this.#decoded.slice(0, this.#textPosition(this.#stop.passed));
    while (this.#tokens.length > 0 && !kept.startsWith(this.#decode())) {
      this.#tokens.pop();
      this.#logprobs.pop();
    }
  }

  /** Where in everything decoded the text's character `index` stands. */
  #textPosition(index: number): number {
    return (this.#thoughts?.textStart ?? 0) + (this.#callSplitter?.positionOf(index) ?? index);
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
