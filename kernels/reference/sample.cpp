#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/error.h"
#include "kernels/log_exp.h"
#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

struct Candidate {
  int32_t token;
  double logit;
};

bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// All tokens, best first; NaN and minus infinity are left out.
std::vector<Candidate> ranked(const std::vector<double>& logits) {
  std::vector<Candidate> candidates;
  for (size_t t = 0; t < logits.size(); t++) {
    if (logits[t] > -INFINITY) candidates.push_back({static_cast<int32_t>(t), logits[t]});
  }
  std::sort(candidates.begin(), candidates.end(), better);
  return candidates;
}

/// Steps 1 to 4: biases, penalties, mask.
void adjust(const Sample& op, std::vector<double>& logits) {
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
  for (size_t t = 0; op.mask && t < logits.size(); t++) {
    if ((op.mask[t / 32] >> (t % 32) & 1) == 0) logits[t] = -INFINITY;
  }
}

/// Step 6 on candidates in order of rank. Probabilities are summed in order of id, the set of top_p
/// best first.
void truncate(const Sample& op, std::vector<Candidate>& candidates) {
  if (op.top_k > 0 && candidates.size() > static_cast<size_t>(op.top_k)) {
    candidates.resize(static_cast<size_t>(op.top_k));
  }
  const double best = candidates.front().logit;
  if (op.top_p < 1) {
    std::vector<Candidate> by_id = candidates;
    std::sort(by_id.begin(), by_id.end(), [](auto& a, auto& b) { return a.token < b.token; });
    double total = 0;
    for (const Candidate& candidate : by_id) total += natural_exp(candidate.logit - best);
    double sum = 0;
    size_t kept = 0;
    while (kept < candidates.size() && (kept == 0 || sum < op.top_p * total)) {
      sum += natural_exp(candidates[kept++].logit - best);
    }
    candidates.resize(kept);
  }
  while (natural_exp(candidates.back().logit - best) < op.min_p) candidates.pop_back();
}

/// The raw logits' log-probabilities of the chosen token and of the best ones.
void report(const Sample& op, const std::vector<double>& raw) {
  if (op.log_prob == nullptr && op.top.empty()) return;
  const std::vector<Candidate> best = ranked(raw);
  double sum = 0;
  for (double logit : raw) sum += std::exp(logit - best.front().logit);
  const double log_sum = best.front().logit + std::log(sum);
  if (op.log_prob) {
    *op.log_prob = static_cast<float>(raw[static_cast<size_t>(*op.token)] - log_sum);
  }
  for (size_t i = 0; i < op.top.size(); i++) {
    op.top[i] = i < best.size()
                    ? TokenLogProb{best[i].token, static_cast<float>(best[i].logit - log_sum)}
                    : TokenLogProb{-1, -INFINITY};
  }
}

}  // namespace

void sample(const Sample& op) {
  const float* given = op.logits.as<float>();
  const std::vector<double> raw(given, given + op.logits.columns);
  std::vector<double> logits = raw;
  adjust(op, logits);
  if (op.temperature > 0) {
    for (double& logit : logits) logit /= op.temperature;
  }
  std::vector<Candidate> candidates = ranked(logits);
  if (candidates.empty()) {
    throw_no_token();
  }
  if (op.temperature > 0) {
    truncate(op, candidates);
    for (Candidate& candidate : candidates) {
      candidate.logit += gumbel(op.seed, op.position, candidate.token);
    }
  }
  *op.token = std::min_element(candidates.begin(), candidates.end(), better)->token;
  report(op, raw);
}

}  // namespace minicpm::reference
