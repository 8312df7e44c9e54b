// One token from one row of logits, by noise keyed with (seed, position, token): contract 5.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/tensor.h"

namespace minicpm {

struct TokenCount {
  int32_t token;
  int32_t in_context;  // times in prompt and answer together
  int32_t in_answer;   // times in the answer so far
};

struct TokenBias {
  int32_t token;
  float bias;
};

struct TokenLogProb {
  int32_t token;
  float log_prob;
};

/// Processors run in this order:
///   1. logit bias is added;
///   2. repetition penalty (Keskar et al. 2019, arXiv:1909.05858): a token of the context has its
///   logit divided by
///      `repetition` where positive, multiplied where negative;
///   3. presence (once) and frequency (per occurrence in the answer) penalties are subtracted;
///   4. tokens whose mask bit is 0 are removed;
///   5. logits are divided by the temperature (0: the best token, ties to the lower id, and the
///   rest is skipped);
///   6. top-k, top-p (the smallest set of best tokens whose probability reaches top_p, Holtzman et
///   al. 2019,
///      arXiv:1904.09751), min-p (at least min_p times the best token's probability), each on what
///      the one before left, renormalized;
///   7. token = argmax(logit + gumbel(seed, position, token)), an exact sample (Gumbel-max).
/// Wherever tokens tie, the lower id wins.
struct Sample {
  Tensor logits;  // [1, vocabulary], f32; not changed
  std::span<const TokenCount> counts;
  std::span<const TokenBias> biases;
  const uint32_t* mask = nullptr;  // bit t of word t / 32: token t is allowed; null allows all
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float temperature = 0;
  int32_t top_k = 0;  // 0: off
  float top_p = 1;
  float min_p = 0;
  uint64_t seed = 0;
  int64_t position = 0;  // of the token to be chosen

  // Results.
  int32_t* token;  // the chosen id; -1 where none is left, unless that is thrown at once
  float* log_prob =
      nullptr;  // of the chosen token under the raw logits (before step 1); null: not wanted
  std::span<TokenLogProb> top =
      {};  // the best tokens under the raw logits, best first; empty: not wanted

  void check() const;
};

/// Throws Error{kState}: no token is left.
[[noreturn]] void throw_no_token();

/// Standard Gumbel noise of one (seed, position, token): -log(-log(u)), u in (0, 1) from
/// Philox4x32-10 (Salmon et al. 2011). Plain double arithmetic in a fixed order, the same bits on
/// every machine.
double gumbel(uint64_t seed, int64_t position, int32_t token);

}  // namespace minicpm
