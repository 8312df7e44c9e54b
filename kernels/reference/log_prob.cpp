#include <algorithm>
#include <cmath>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

void log_prob(const LogProb& op) {
  const int64_t vocabulary = op.logits.columns;
  for (int64_t t = 0; t < op.logits.rows; t++) {
    const float* logits = op.logits.as<float>() + t * vocabulary;
    const double best = *std::max_element(logits, logits + vocabulary);
    double sum = 0;
    for (int64_t v = 0; v < vocabulary; v++) sum += std::exp(logits[v] - best);
    const double target = logits[op.targets.as<int32_t>()[t]];
    op.y.as<float>()[t] = static_cast<float>(target - best - std::log(sum));
  }
}

}  // namespace minicpm::reference
