// The definition sorts the vocabulary; here tokens are ranked only as far as the truncation needs,
// and noise is drawn only for tokens that could still win. Every number that decides is computed by
// the same operations in the same order as in the definition, so the tokens are equal.
#include "kernels/cpu/sample.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "kernels/error.h"
#include "kernels/gumbel.h"

namespace minicpm {

namespace {

struct Candidate {
  int32_t token;
  double logit;
};

bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

bool earlier(const Candidate& a, const Candidate& b) {
  return a.token < b.token;
}

constexpr double kNone = -INFINITY;  // the logit of a token that is out

}  // namespace

struct Sampler::Memory {
  std::vector<double> logits;
  std::vector<Candidate> candidates;
  std::vector<Candidate> ranked;
  std::vector<double> exponentials;

  void adjust(const Sample& op);
  int32_t greedy() const;
  void keep_best(size_t count);
  double exp_sum(double best);
  void keep_top_p(double top_p);
  void keep_min_p(double min_p, double best);
  int32_t noisiest(const Sample& op);
  void report(const Sample& op);
};

Sampler::Sampler() : memory_(std::make_unique<Memory>()) {}
Sampler::~Sampler() = default;

/// Steps 1 to 5; NaN becomes minus infinity.
void Sampler::Memory::adjust(const Sample& op) {
  const float* given = op.logits.as<float>();
  logits.assign(given, given + op.logits.columns);
  for (const TokenBias& bias : op.biases) logits[static_cast<size_t>(bias.token)] += bias.bias;
  for (const TokenCount& count : op.counts) {
    double& logit = logits[static_cast<size_t>(count.token)];
    if (count.in_context > 0) {
      logit = logit > 0 ? logit / op.repetition_penalty : logit * op.repetition_penalty;
    }
    if (count.in_answer > 0) {
      logit = logit - op.presence_penalty - double{op.frequency_penalty} * count.in_answer;
    }
  }
  for (size_t word = 0; op.mask && word * 32 < logits.size(); word++) {
    if (op.mask[word] == ~uint32_t{0}) continue;
    const size_t end = std::min(logits.size(), word * 32 + 32);
    for (size_t t = word * 32; t < end; t++) {
      if ((op.mask[word] >> (t % 32) & 1) == 0) logits[t] = kNone;
    }
  }
  for (double& logit : logits) logit = logit > kNone ? logit : kNone;
  if (op.temperature > 0) {
    for (double& logit : logits) logit /= op.temperature;
  }
}

int32_t Sampler::Memory::greedy() const {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// The `count` best tokens as candidates in order of id; all that are in, where there are no more.
void Sampler::Memory::keep_best(size_t count) {
  candidates.clear();
  if (count >= logits.size()) {
    for (size_t t = 0; t < logits.size(); t++) {
      if (logits[t] > kNone) candidates.push_back({static_cast<int32_t>(t), logits[t]});
    }
    return;
  }
  // A heap with the worst of the best on top: most tokens cost one comparison.
  for (size_t t = 0; t < logits.size(); t++) {
    const Candidate candidate{static_cast<int32_t>(t), logits[t]};
    if (candidate.logit == kNone) continue;
    if (candidates.size() < count) {
      candidates.push_back(candidate);
      if (candidates.size() == count) std::make_heap(candidates.begin(), candidates.end(), better);
    } else if (better(candidate, candidates.front())) {
      std::pop_heap(candidates.begin(), candidates.end(), better);
      candidates.back() = candidate;
      std::push_heap(candidates.begin(), candidates.end(), better);
    }
  }
  std::sort(candidates.begin(), candidates.end(), earlier);
}

/// The sum of e^(logit - best) over the candidates, in their order.
double Sampler::Memory::exp_sum(double best) {
  exponentials.resize(candidates.size());
  for (size_t i = 0; i < candidates.size(); i++) {
    exponentials[i] = natural_exp(candidates[i].logit - best);
  }
  double sum = 0;
  for (double exponential : exponentials) sum += exponential;
  return sum;
}

/// Keeps the smallest set of best candidates whose probability reaches top_p.
void Sampler::Memory::keep_top_p(double top_p) {
  const double best = std::min_element(candidates.begin(), candidates.end(), better)->logit;
  const double total = exp_sum(best);
  // Ranks the candidates within some distance of the best, farther and farther until they are
  // enough.
  double sum = 0, from = INFINITY;
  size_t kept = 0;
  ranked.clear();
  for (double distance = 4; kept < candidates.size(); distance *= 2) {
    const double down_to = distance < 1000 ? best - distance : kNone;
    for (const Candidate& candidate : candidates) {
      if (candidate.logit < from && candidate.logit >= down_to) ranked.push_back(candidate);
    }
    std::sort(ranked.begin() + static_cast<ptrdiff_t>(kept), ranked.end(), better);
    while (kept < ranked.size() && (kept == 0 || sum < top_p * total)) {
      sum += natural_exp(ranked[kept++].logit - best);
    }
    if (kept < ranked.size() || sum >= top_p * total) break;
    from = down_to;
  }
  ranked.resize(kept);
  std::swap(candidates, ranked);
}

/// Keeps the candidates with at least min_p times the best one's probability; the exponential is
/// for those near it.
void Sampler::Memory::keep_min_p(double min_p, double best) {
  const double surely_out = best + natural_log(min_p) - 0.001;
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return candidate.logit < surely_out || natural_exp(candidate.logit - best) < min_p;
  });
}

/// The candidate with the best noisy logit. -ln(u) >= 1 - u, so the noise is at most -ln(1 - u),
/// which the exponent of 1 - u bounds without a logarithm.
int32_t Sampler::Memory::noisiest(const Sample& op) {
  Candidate winner{-1, kNone};
  int32_t pair = -1;
  PhiloxWords words{};
  const auto consider = [&](const Candidate& candidate) {
    if (candidate.token / 2 != pair) {
      pair = candidate.token / 2;
      words = noise_words(op.seed, op.position, pair);
    }
    const double uniform = noise_uniform(words, candidate.token);
    const auto exponent = static_cast<int>(std::bit_cast<uint64_t>(1 - uniform) >> 52) - 1023;
    const double bound = 0.6931472 * -exponent;
    if (candidate.logit + bound < winner.logit) return;
    const Candidate noisy{candidate.token, candidate.logit + gumbel_of(uniform)};
    if (winner.token < 0 || better(noisy, winner)) winner = noisy;
  };
  consider(*std::min_element(candidates.begin(), candidates.end(), better));
  for (const Candidate& candidate : candidates) consider(candidate);
  return winner.token;
}

/// Log-probabilities under the raw logits.
void Sampler::Memory::report(const Sample& op) {
  if (op.log_prob == nullptr && op.top.empty()) return;
  const float* raw = op.logits.as<float>();
  logits.assign(raw, raw + op.logits.columns);
  for (double& logit : logits) logit = logit > kNone ? logit : kNone;
  const double best = *std::max_element(logits.begin(), logits.end());
  keep_best(logits.size());
  const double sum = exp_sum(best);
  const double log_sum = best + natural_log(sum);
  if (op.log_prob) *op.log_prob = static_cast<float>(raw[*op.token] - log_sum);
  if (op.top.empty()) return;
  keep_best(op.top.size());
  std::sort(candidates.begin(), candidates.end(), better);
  for (size_t i = 0; i < op.top.size(); i++) {
    op.top[i] =
        i < candidates.size()
            ? TokenLogProb{candidates[i].token, static_cast<float>(candidates[i].logit - log_sum)}
            : TokenLogProb{-1, -INFINITY};
  }
}

void Sampler::run(const Sample& op) {
  Memory& memory = *memory_;
  const auto vocabulary = static_cast<size_t>(op.logits.columns);
  memory.candidates.reserve(vocabulary);
  memory.ranked.reserve(vocabulary);
  memory.exponentials.reserve(vocabulary);
  memory.adjust(op);
  const int32_t best = memory.greedy();
  if (memory.logits[static_cast<size_t>(best)] == kNone) {
    throw_no_token();
  }
  if (op.temperature > 0) {
    memory.keep_best(op.top_k > 0 ? static_cast<size_t>(op.top_k) : vocabulary);
    if (op.top_p < 1) memory.keep_top_p(op.top_p);
    if (op.min_p > 0) memory.keep_min_p(op.min_p, memory.logits[static_cast<size_t>(best)]);
    *op.token = memory.noisiest(op);
  } else {
    *op.token = best;
  }
  memory.report(op);
}

}  // namespace minicpm
