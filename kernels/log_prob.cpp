#include "kernels/log_prob.h"

#include <string>

#include "kernels/error.h"

namespace minicpm {

void LogProb::check() const {
  expect("log_prob", "y", y, 1, logits.rows, DType::f32);
  expect("log_prob", "logits", logits, logits.rows, logits.columns, DType::f32);
  expect("log_prob", "targets", targets, 1, logits.rows, DType::i32);
}

void LogProb::check_targets() const {
  for (int64_t t = 0; t < logits.rows; t++) {
    const int32_t target = targets.as<int32_t>()[t];
    if (target < 0 || target >= logits.columns) {
      throw Error(ErrorCode::kShape, "log_prob: targets should be in [0, " +
                                         std::to_string(logits.columns) + "), target " +
                                         std::to_string(t) + " is " + std::to_string(target));
    }
  }
}

}  // namespace minicpm
