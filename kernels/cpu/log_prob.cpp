#include "kernels/log_prob.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"
#include "kernels/log_exp.h"

namespace minicpm::ISA {

namespace {

float best_of(const float* logits, int64_t vocabulary) {
  f32x16 best = broadcast(-__builtin_inff());
  int64_t v = 0;
  for (; v + kLanes <= vocabulary; v += kLanes) best = max(load(logits + v), best);
  float result = largest(best);
  for (; v < vocabulary; v++) result = logits[v] > result ? logits[v] : result;
  return result;
}

/// sum exp(logits - best): lanes are summed in float over runs of 1,024 logits, the runs in double.
double exp_sum(const float* logits, int64_t vocabulary, float best) {
  constexpr int64_t kRun = 1024;
  double total = 0;
  for (int64_t run = 0; run < vocabulary; run += kRun) {
    const int64_t end = run + kRun < vocabulary ? run + kRun : vocabulary;
    f32x16 sums = broadcast(0);
    int64_t v = run;
    for (; v + kLanes <= end; v += kLanes) sums = sums + exp(load(logits + v) - broadcast(best));
    if (v < end) {
      float tail[kLanes];
      for (int i = 0; i < kLanes; i++) tail[i] = v + i < end ? logits[v + i] : -__builtin_inff();
      sums = sums + exp(load(tail) - broadcast(best));
    }
    total += sum(sums);
  }
  return total;
}

}  // namespace

void log_prob(const LogProb& op, Workers& workers) {
  const int64_t vocabulary = op.logits.columns;
  for_ranges(workers, op.logits.rows, 1, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; t++) {
      const float* logits = static_cast<const float*>(op.logits.data) + t * vocabulary;
      const float best = best_of(logits, vocabulary);
      const double log_sum = best + natural_log(exp_sum(logits, vocabulary, best));
      const float target = logits[static_cast<const int32_t*>(op.targets.data)[t]];
      static_cast<float*>(op.y.data)[t] = static_cast<float>(target - log_sum);
    }
  });
}

}  // namespace minicpm::ISA
