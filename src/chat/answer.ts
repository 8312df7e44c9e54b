import { type GenerateTokensOptions, generate } from "../engine/generate.ts";
import { nativeSampling, type SamplingDefaults } from "../engine/sampling.ts";
import type { Sequence } from "../engine/sequence.ts";
import { AbortError } from "../errors.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { ToolDefinition } from "../tools/tool.ts";
import { answerConstraint } from "./answer-constraint.ts";
import type { CallFormat } from "./call-format.ts";
import type { GenerateOptions } from "./generate-options.ts";
import type { GenerationEvent } from "./generation.ts";
import { Reply } from "./reply.ts";
import type { FinishReason, Result } from "./result.ts";
import { Stopwatch } from "./stopwatch.ts";

/** What a model brings to every answer. */
export interface Voice {
  readonly tokenizer: Tokenizer;
  readonly vocabSize: number;
  /** Tokens that end an answer. */
  readonly stopTokens: Int32Array;
  readonly defaults: SamplingDefaults & { readonly maxTokens?: number };
  readonly loadMs: number;
}

export interface Question {
  readonly prompt: Int32Array;
  /** See ReplyOptions; `plain` is a completion, whose text goes on from the prompt's. */
  readonly plain?: boolean;
  readonly openedThought?: string | undefined;
  /** The model may think before it answers where a form is asked of the answer. */
  readonly canThink?: boolean;
  /** How the model writes calls. */
  readonly calls?: CallFormat;
  /** What it may call. */
  readonly tools?: readonly ToolDefinition[];
  readonly options: GenerateOptions;
}

/**
 * Answers one prompt on a sequence: tokens to text, with everything counted and measured. Afterwards the sequence
 * holds the prompt and tokens of the answer, nothing beyond a stop text.
 *
 * @throws OptionError, ConstraintError, ContextOverflowError before any work; AbortError with a partial Result when `signal` fires.
 */
export async function answer(
  voice: Voice,
  sequence: Sequence,
  question: Question,
  emit: (event: GenerationEvent) => void,
  signal: AbortSignal,
): Promise<Result> {
  const { prompt, options, ...known } = question;
  const { plain = false } = known;
  const { tokenizer } = voice;
  const sampling = nativeSampling(options, voice.defaults, voice.vocabSize);
  const stopTokens = options.ignoreEos ? new Int32Array() : voice.stopTokens;
  const continued = plain && prompt.some((token) => !tokenizer.isSpecial(token));
  const reply = new Reply({
    decoder: () => tokenizer.decodeStream({ continued }),
    stopTokens: new Set(stopTokens),
    stop: options.stop ?? [],
    plain,
    ...known,
  });
  const stopwatch = new Stopwatch();
  let cached = 0;
  let finishReason: FinishReason = "length";

  const result = (reason: FinishReason): Result => ({
    text: reply.text,
    ...form?.valueOf({ text: reply.text, calls: reply.calls, finishReason: reason }),
    ...(reply.thinking !== "" && { thinking: reply.thinking }),
    calls: reply.calls,
    ...(reply.malformedCalls.length > 0 && { malformedCalls: reply.malformedCalls }),
    tokens: reply.tokens,
    finishReason: reason,
    seed: sampling.seed <= Number.MAX_SAFE_INTEGER ? Number(sampling.seed) : sampling.seed,
    ...(sampling.logprobs >= 0 && { logprobs: reply.logprobs }),
    usage: { prompt: prompt.length, cached, completion: reply.completion },
    stats: { loadMs: voice.loadMs, ...stopwatch.stats() },
  });

  const form = await answerConstraint(voice, question);
  const run: GenerateTokensOptions = {
    maxTokens: options.maxTokens ?? defaultMaxTokens(voice, sequence.capacity - prompt.length),
    stopTokens,
    sampling,
    ...(form && { constrained: { constraint: form.constraint, vocabSize: voice.vocabSize } }),
    signal,
  };
  try {
    for await (const event of generate(sequence, prompt, run)) {
      if (event.type === "prefill") {
        cached = event.cached;
        stopwatch.prefilled(event.done - cached);
        emit(event);
      } else if (event.type === "tokens") {
        stopwatch.made(event.tokens.length);
        for (const piece of reply.push(event)) emit(piece);
        if (reply.stopped) break;
      } else if (event.reason === "stop") {
        finishReason = "stop";
      }
    }
  } catch (error) {
    if (!(error instanceof AbortError)) throw error;
    for (const piece of reply.end()) emit(piece);
    throw new AbortError(result("aborted"), { cause: error.cause });
  } finally {
    form?.constraint.dispose();
  }
  for (const piece of reply.end()) emit(piece);
  if (reply.stopped) {
    finishReason = "stop";
    const kept = prompt.length + reply.tokens.length;
    if (sequence.length > kept) sequence.truncate(kept);
  }
  return result(finishReason === "stop" && reply.calls.length > 0 ? "calls" : finishReason);
}

/** The model's own limit as far as it fits; undefined: no limit but the context. */
function defaultMaxTokens({ defaults }: Voice, room: number): number | undefined {
  return defaults.maxTokens === undefined ? undefined : Math.max(1, Math.min(defaults.maxTokens, room));
}
