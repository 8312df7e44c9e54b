#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y[t] = logits[t][targets[t]] - log(sum_v exp(logits[t][v])), natural log.
struct LogProb {
  Tensor y;        // [1, tokens], f32
  Tensor logits;   // [tokens, vocabulary], f32
  Tensor targets;  // [1, tokens], i32, each in [0, vocabulary)

  void check() const;
  /// Throws Error{kShape} where one is not; they are in memory of the host's.
  void check_targets() const;
};

}  // namespace minicpm
