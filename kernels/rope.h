// Rotary position embedding in the half-split ("NeoX") layout: Su et al. 2021, arXiv:2104.09864.
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// For every head of every row, i < head_dim / 2:
///   x'[i]                = x[i] cos[t][i] - x[i + head_dim / 2] sin[t][i]
///   x'[i + head_dim / 2] = x[i + head_dim / 2] cos[t][i] + x[i] sin[t][i]
/// in place. The angles, LongRoPE's factors and its magnitude are in cos and sin
/// (native/model/rope.h).
struct Rope {
  Tensor x;    // [tokens, heads * head_dim], f32
  Tensor cos;  // [tokens, head_dim / 2], f32
  Tensor sin;  // [tokens, head_dim / 2], f32
  int head_dim;

  void check() const;
};

}  // namespace minicpm
