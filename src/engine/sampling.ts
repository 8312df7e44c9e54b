import { randomInt } from "node:crypto";
import { OptionError } from "../errors.ts";
import type { NativeSampling } from "../native/binding.ts";

/** How the next token is chosen. The order of the steps is in kernels/sample.h. */
export interface SamplingOptions {
  /**
   * 0 takes the best token always; up to 100. Default: generation_config.json, else 0.8; 0 where its do_sample is
   * false.
   */
  readonly temperature?: number | undefined;
  /** Keep this many best tokens; 0 keeps all. Default: generation_config.json, else 0. */
  readonly topK?: number | undefined;
  /** Keep the fewest best tokens whose probability reaches this, in [0, 1]. Default: generation_config.json, else 0.8. */
  readonly topP?: number | undefined;
  /** Drop tokens less probable than this times the best one, in [0, 1]. Default: generation_config.json, else 0. */
  readonly minP?: number | undefined;
  /** Above 1 discourages tokens of prompt and answer (arXiv:1909.05858). Default: generation_config.json, else 1. */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted once from tokens that are in the answer. Default 0. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted from tokens of the answer for each time they are in it. Default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** Token -> what is added to its logit. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
  /** An integer in [0, 2^64). The same seed gives the same text. Default: a random one, told in the result. */
  readonly seed?: number | bigint | undefined;
  /** Report each token's log-probability and those of this many best tokens, 0 to 20. */
  readonly logprobs?: number | undefined;
}

/** What a model brings for options that the caller leaves out. */
export interface SamplingDefaults {
  /** false: temperature 0. */
  readonly doSample?: boolean;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
}

/**
 * Every number that the native sampler takes: the caller's, else the model's, else ours.
 *
 * @throws OptionError naming the option that is out of range.
 */
export function nativeSampling(
  options: SamplingOptions,
  defaults: SamplingDefaults,
  vocabSize: number,
): NativeSampling {
  const temperature = defaults.doSample === false ? 0 : (defaults.temperature ?? 0.8);
  const { repetitionPenalty = defaults.repetitionPenalty ?? 1, logprobs } = options;
  const biases = Object.entries(options.logitBias ?? {}).map(([key, bias]) => ({
    token: integer("logitBias's token", Number(key), 0, vocabSize - 1),
    bias: number(`logitBias[${key}]`, bias, -1e6, 1e6),
  }));
  return {
    temperature: number("temperature", options.temperature ?? temperature, 0, 100),
    topK: integer("topK", options.topK ?? defaults.topK ?? 0, 0, 2 ** 31 - 1),
    topP: number("topP", options.topP ?? defaults.topP ?? 0.8, 0, 1),
    minP: number("minP", options.minP ?? defaults.minP ?? 0, 0, 1),
    repetitionPenalty: number("repetitionPenalty", repetitionPenalty, 1e-3, 1e3),
    presencePenalty: number("presencePenalty", options.presencePenalty ?? 0, -100, 100),
    frequencyPenalty: number("frequencyPenalty", options.frequencyPenalty ?? 0, -100, 100),
    seed: seed(options.seed ?? randomInt(2 ** 32)),
    biasTokens: Int32Array.from(biases, ({ token }) => token),
    biases: Float32Array.from(biases, ({ bias }) => bias),
    logprobs: logprobs === undefined ? -1 : integer("logprobs", logprobs, 0, Math.min(20, vocabSize)),
  };
}

function number(option: string, value: number, least: number, most: number): number {
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw new OptionError(option, `a number from ${least} to ${most}`, value);
}

function integer(option: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new OptionError(option, `an integer from ${least} to ${most}`, value);
}

function seed(value: number | bigint): bigint {
  const whole = typeof value === "bigint" || Number.isSafeInteger(value) ? BigInt(value) : -1n;
  if (whole >= 0n && whole < 2n ** 64n) return whole;
  throw new OptionError("seed", "an integer from 0 to 2^64 - 1 (above 2^53 a bigint)", value);
}

/** The best token, nothing else. */
export const greedy: NativeSampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 0n,
  biasTokens: new Int32Array(),
  biases: new Float32Array(),
  logprobs: -1,
};
