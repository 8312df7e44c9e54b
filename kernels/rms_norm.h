// RMSNorm: Zhang & Sennrich 2019, arXiv:1910.07467.
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y[t] = x[t] / sqrt(mean(x[t]^2) + eps) * weight, one row per token.
struct RmsNorm {
  Tensor y;       // [tokens, hidden], f32; may be the same memory as x
  Tensor x;       // [tokens, hidden], f32
  Tensor weight;  // [1, hidden], f32
  float eps;      // added to the mean square

  void check() const;
};

}  // namespace minicpm
