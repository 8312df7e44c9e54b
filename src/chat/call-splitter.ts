import type { ToolCall, ToolDefinition } from "../tools/tool.ts";
import { type CallBlock, type CallFormat, type FoundCall, isMalformed } from "./call-format.ts";
import type { MalformedCall } from "./python-calls.ts";
import { StopMatcher } from "./stop-matcher.ts";

export type CallPiece =
  | { readonly type: "text"; readonly delta: string }
  | { readonly type: "call"; readonly call: ToolCall }
  | { readonly type: "malformed"; readonly malformed: MalformedCall };

/** Splits an answer that is still arriving into text and blocks of calls. White space behind a block is left out. */
export class CallSplitter {
  readonly #format: CallFormat;
  readonly #tools: readonly ToolDefinition[];
  #start: StopMatcher;
  #block: CallBlock | undefined;
  /** Between a block and the text behind it. */
  #gap = false;
  #seen = 0;
  #passed = 0;
  /** Where each stretch of text begins: so many characters of text before it, so many of the answer. */
  readonly #stretches = [{ passed: 0, at: 0 }];

  /** @param tools what the model was offered */
  constructor(format: CallFormat, tools: readonly ToolDefinition[] = []) {
    this.#format = format;
    this.#tools = tools;
    this.#start = new StopMatcher([format.start]);
  }

  /** Where in the answer the text's character `index` stands. */
  positionOf(index: number): number {
    const stretch = this.#stretches.findLast(({ passed }) => passed <= index);
    return (stretch?.at ?? 0) + index - (stretch?.passed ?? 0);
  }

  push(piece: string): CallPiece[] {
    this.#seen += piece.length;
    const pieces: CallPiece[] = [];
    for (let rest: string | undefined = piece; rest; ) {
      rest = this.#block ? this.#read(rest, pieces) : this.#pass(rest, pieces);
    }
    return pieces;
  }

  /** No more comes: returns what was held back. */
  end(): CallPiece[] {
    const pieces: CallPiece[] = [];
    if (this.#block) this.#found(this.#block.end(), pieces);
    else this.#text(this.#start.end(), pieces);
    return pieces;
  }

  /** Text up to a block; returns what stands in the block. */
  #pass(piece: string, pieces: CallPiece[]): string | undefined {
    const text = this.#gap ? piece.trimStart() : piece;
    if (text === "") return undefined;
    if (this.#gap) this.#stretches.push({ passed: this.#passed, at: this.#seen - text.length });
    this.#gap = false;
    this.#text(this.#start.push(text), pieces);
    if (!this.#start.matched) return undefined;
    this.#block = this.#format.block(this.#tools);
    return this.#start.rest;
  }

  /** Calls up to the block's end; returns what stands behind it. */
  #read(piece: string, pieces: CallPiece[]): string | undefined {
    const { found, rest } = (this.#block as CallBlock).push(piece);
    this.#found(found, pieces);
    if (rest === undefined) return undefined;
    this.#block = undefined;
    this.#start = new StopMatcher([this.#format.start]);
    this.#gap = true;
    return rest;
  }

  #found(calls: readonly FoundCall[], pieces: CallPiece[]): void {
    for (const call of calls) {
      pieces.push(isMalformed(call) ? { type: "malformed", malformed: call } : { type: "call", call });
    }
  }

  #text(delta: string, pieces: CallPiece[]): void {
    this.#passed += delta.length;
    if (delta !== "") pieces.push({ type: "text", delta });
  }
}
