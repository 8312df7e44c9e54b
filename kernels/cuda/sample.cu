// One token from a row of logits, on CUDA: one block of threads, every step a pass over the
// vocabulary. The k best tokens, and the best that reach top_p, are found digit by digit of a
// number that orders as the tokens rank; probabilities are summed as integers, so that their order
// does not matter. Memory bound: the floor is vocabulary * 4 bytes / bandwidth; with truncation 12
// passes over 8 bytes a token each, which come from the caches.
#include "kernels/sample.h"

#include "kernels/cuda/ops.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/gumbel.h"

namespace minicpm::cuda {

namespace {

constexpr int kSampleThreads = 512;
constexpr int32_t kNoToken = 0x7fffffff;  // ranks behind all
constexpr int kDigits = 256;
constexpr double kProbabilityOne = 0x1p40;  // the best token's, as an integer

struct SampleOp {
  const float* given;
  double* logits;  // what is left of them after steps 1 to 5
  int32_t vocabulary;
  const TokenCount* counts;
  const TokenBias* biases;
  int count_count, bias_count, top_count;
  const uint32_t* mask;
  float repetition_penalty, presence_penalty, frequency_penalty, temperature;
  int32_t top_k;
  float top_p, min_p;
  uint64_t seed;
  int64_t position;
  int32_t* token;
  float* log_prob;
  TokenLogProb* top;
};

struct Ranked {
  double logit;
  int32_t token;
};

DEVICE bool ranks_before(const Ranked& a, const Ranked& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// The best of what the threads have.
DEVICE Ranked block_best(Ranked mine) {
  SHARED(double, logits, kSampleThreads / kWarp);
  SHARED(int32_t, tokens, kSampleThreads / kWarp);
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    const Ranked other{__shfl_xor_sync(kAllLanes, mine.logit, bits),
                       __shfl_xor_sync(kAllLanes, mine.token, bits)};
    if (ranks_before(other, mine)) mine = other;
  }
  if (threadIdx.x % kWarp == 0) {
    logits[threadIdx.x / kWarp] = mine.logit;
    tokens[threadIdx.x / kWarp] = mine.token;
  }
  __syncthreads();
  for (int w = 0; w < kSampleThreads / kWarp; w++) {
    const Ranked other{logits[w], tokens[w]};
    if (ranks_before(other, mine)) mine = other;
  }
  __syncthreads();
  return mine;
}

/// Calls `action(token)` for the thread's tokens.
template <typename Action>
DEVICE void for_tokens(int32_t vocabulary, Action action) {
  for (int32_t t = static_cast<int32_t>(threadIdx.x); t < vocabulary; t += kSampleThreads)
    action(t);
}

/// Steps 1 to 5; what is out, and what is no number, becomes minus infinity.
DEVICE void adjust(const SampleOp& op) {
  for_tokens(op.vocabulary, [&](int32_t t) { op.logits[t] = op.given[t]; });
  __syncthreads();
  if (threadIdx.x == 0) {  // in order: a token may be there twice
    for (int i = 0; i < op.bias_count; i++) op.logits[op.biases[i].token] += op.biases[i].bias;
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < op.count_count; i += kSampleThreads) {
    const TokenCount count = op.counts[i];
    double logit = op.logits[count.token];
    if (count.in_context > 0) {
      logit = logit > 0 ? logit / op.repetition_penalty : logit * op.repetition_penalty;
    }
    if (count.in_answer > 0) {
      logit = logit - op.presence_penalty - double{op.frequency_penalty} * count.in_answer;
    }
    op.logits[count.token] = logit;
  }
  __syncthreads();
  for_tokens(op.vocabulary, [&](int32_t t) {
    const bool allowed = op.mask == nullptr || op.mask[t / 32] >> (t % 32) & 1;
    const double logit = op.logits[t];
    const double kept = allowed && logit > -INFINITY ? logit : -INFINITY;
    op.logits[t] = op.temperature > 0 ? kept / op.temperature : kept;
  });
  __syncthreads();
}

/// Larger where a token ranks before another: 64 bits by the logit, 32 by the token.
struct RankKey {
  uint64_t logit;
  uint32_t token;

  DEVICE explicit RankKey(const Ranked& ranked) : token(~static_cast<uint32_t>(ranked.token)) {
    const auto bits = __builtin_bit_cast(uint64_t, ranked.logit + 0.0);  // -0 is 0
    logit = bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
  }

  static constexpr int kCount = 12;  // digits of 8 bits, the first the most significant
  DEVICE unsigned digit(int i) const {
    return i < 8 ? static_cast<unsigned>(logit >> (56 - 8 * i)) & 255 : token >> (88 - 8 * i) & 255;
  }
  /// The first `digits` are the same.
  DEVICE bool starts_like(const RankKey& other, int digits) const {
    const uint64_t logits = logit ^ other.logit;
    const uint32_t tokens = token ^ other.token;
    if (digits <= 8) return digits == 0 || logits >> (64 - 8 * digits) == 0;
    return logits == 0 && tokens >> (96 - 8 * digits) == 0;
  }
  DEVICE void set_digit(int i, unsigned digit) {
    if (i < 8) {
      logit |= static_cast<uint64_t>(digit) << (56 - 8 * i);
    } else {
      token |= digit << (88 - 8 * i);
    }
  }
  DEVICE bool operator>=(const RankKey& other) const {
    return logit != other.logit ? logit > other.logit : token >= other.token;
  }
};

/// The tokens still in: all that rank at or before `last`.
struct Candidates {
  const SampleOp& op;
  RankKey last;

  DEVICE bool has(int32_t t) const {
    return op.logits[t] > -INFINITY && RankKey({op.logits[t], t}) >= last;
  }

  /// Keeps the fewest best ones whose weights together reach `target`, which all of them do.
  template <typename Weight>
  DEVICE void keep(unsigned long long target, Weight weight) {
    SHARED(unsigned long long, sums, kDigits);
    SHARED(unsigned, chosen, 1);
    RankKey found = last;
    found.logit = 0, found.token = 0;
    for (int i = 0; i < RankKey::kCount; i++) {
      for (int d = static_cast<int>(threadIdx.x); d < kDigits; d += kSampleThreads) sums[d] = 0;
      __syncthreads();
      for_tokens(op.vocabulary, [&](int32_t t) {
        if (!has(t)) return;
        const RankKey key({op.logits[t], t});
        if (key.starts_like(found, i)) atomicAdd(&sums[key.digit(i)], weight(op.logits[t]));
      });
      __syncthreads();
      unsigned digit = kDigits - 1;
      for (; digit > 0 && sums[digit] < target; digit--) target -= sums[digit];
      if (threadIdx.x == 0) chosen[0] = digit;
      __syncthreads();
      found.set_digit(i, chosen[0]);
      __syncthreads();
    }
    last = found;
  }
};

/// Step 6.
DEVICE void truncate(const SampleOp& op, double best, Candidates& candidates) {
  if (op.top_k > 0 && op.top_k < op.vocabulary) {
    unsigned long long mine = 0;
    for_tokens(op.vocabulary, [&](int32_t t) { mine += candidates.has(t); });
    const auto top_k = static_cast<unsigned long long>(op.top_k);
    if (block_reduce<kSampleThreads>(mine, Plus()) > top_k) {
      candidates.keep(top_k, [](double) { return 1ull; });
    }
  }
  if (op.top_p < 1) {
    const auto weight = [best](double logit) {
      return static_cast<unsigned long long>(natural_exp(logit - best) * kProbabilityOne);
    };
    unsigned long long mine = 0;
    for_tokens(op.vocabulary, [&](int32_t t) {
      if (candidates.has(t)) mine += weight(op.logits[t]);
    });
    const auto total = static_cast<double>(block_reduce<kSampleThreads>(mine, Plus()));
    const auto target = static_cast<unsigned long long>(ceil(op.top_p * total));
    candidates.keep(target > 0 ? target : 1, weight);
  }
}

/// Step 7. The noise is at most -ln(1 - u), which the exponent of 1 - u bounds without a logarithm.
DEVICE Ranked noisiest(const SampleOp& op, const Ranked& best, const Candidates& candidates) {
  Ranked winner{-INFINITY, kNoToken};
  const auto consider = [&](int32_t t) {
    const double logit = op.logits[t];
    const double uniform = noise_uniform(noise_words(op.seed, op.position, t / 2), t);
    const auto exponent = static_cast<int>(__builtin_bit_cast(uint64_t, 1 - uniform) >> 52) - 1023;
    if (logit + 0.6931472 * -exponent < winner.logit) return;
    const Ranked noisy{logit + gumbel_of(uniform), t};
    if (ranks_before(noisy, winner)) winner = noisy;
  };
  consider(best.token);
  for_tokens(op.vocabulary, [&](int32_t t) {
    if (!candidates.has(t)) return;
    if (op.min_p > 0 && natural_exp(op.logits[t] - best.logit) < op.min_p) return;
    consider(t);
  });
  return block_best(winner);
}

/// Log-probabilities under the raw logits.
DEVICE void report(const SampleOp& op, int32_t token) {
  const auto best_behind = [&](const Ranked& last) {
    Ranked mine{-INFINITY, kNoToken};
    for_tokens(op.vocabulary, [&](int32_t t) {
      const Ranked candidate{op.given[t], t};
      if (candidate.logit > -INFINITY && ranks_before(last, candidate) &&
          ranks_before(candidate, mine)) {
        mine = candidate;
      }
    });
    return block_best(mine);
  };
  Ranked last = best_behind({INFINITY, -1});
  double mine = 0;
  for_tokens(op.vocabulary, [&](int32_t t) {
    if (op.given[t] > -INFINITY) mine += natural_exp(op.given[t] - last.logit);
  });
  const double log_sum = last.logit + natural_log(block_reduce<kSampleThreads>(mine, Plus()));
  if (threadIdx.x == 0 && op.log_prob) {
    *op.log_prob = static_cast<float>(op.given[token] - log_sum);
  }
  for (int i = 0; i < op.top_count; i++) {
    if (threadIdx.x == 0) {
      const bool none = last.token == kNoToken;
      op.top[i] = {none ? -1 : last.token,
                   none ? -INFINITY : static_cast<float>(last.logit - log_sum)};
    }
    last = best_behind(last);
  }
}

// grid: [1], threads: [kSampleThreads]. Where no token is left, the token is -1.
__global__ void sample_kernel(SampleOp op) {
  adjust(op);
  Ranked mine{-INFINITY, kNoToken};
  for_tokens(op.vocabulary, [&](int32_t t) {
    const Ranked candidate{op.logits[t], t};
    if (candidate.logit > -INFINITY && ranks_before(candidate, mine)) mine = candidate;
  });
  const Ranked best = block_best(mine);
  if (best.token == kNoToken) {  // for all threads
    if (threadIdx.x == 0) *op.token = -1;
    return;
  }
  int32_t token = best.token;
  if (op.temperature > 0) {
    Candidates candidates{op, RankKey({-INFINITY, kNoToken})};
    truncate(op, best.logit, candidates);
    token = noisiest(op, best, candidates).token;
  }
  if (threadIdx.x == 0) *op.token = token;
  if (op.log_prob || op.top_count > 0) report(op, token);
}

}  // namespace

size_t sample_scratch(int64_t vocabulary) {
  return static_cast<size_t>(vocabulary) * sizeof(double);
}

void sample(const Sample& op, void* scratch, Stream stream) {
  launch({{1}, {kSampleThreads}, 0, stream}, sample_kernel,
         SampleOp{op.logits.as<float>(),
                  static_cast<double*>(scratch),
                  static_cast<int32_t>(op.logits.columns),
                  op.counts.data(),
                  op.biases.data(),
                  static_cast<int>(op.counts.size()),
                  static_cast<int>(op.biases.size()),
                  static_cast<int>(op.top.size()),
                  op.mask,
                  op.repetition_penalty,
                  op.presence_penalty,
                  op.frequency_penalty,
                  op.temperature,
                  op.top_k,
                  op.top_p,
                  op.min_p,
                  op.seed,
                  op.position,
                  op.token,
                  op.log_prob,
                  op.top.data()});
}

}  // namespace minicpm::cuda
