/** How the next token is chosen. The order of the steps is in kernels/sample.h. */
export interface SamplingOptions {
  /** 0 takes the best token always. Default: generation_config.json, else 0.8. */
  readonly temperature?: number | undefined;
  /** Keep this many best tokens; 0 keeps all. Default: generation_config.json, else 0. */
  readonly topK?: number | undefined;
  /** Keep the fewest best tokens whose probability reaches this, in (0, 1]. Default: generation_config.json, else 0.8. */
  readonly topP?: number | undefined;
  /** Drop tokens less probable than this times the best one, in [0, 1]. Default 0. */
  readonly minP?: number | undefined;
  /** Above 1 discourages tokens of prompt and answer (arXiv:1909.05858). Default 1. */
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
