// Weights that are ternary as they are stored: every group of a row holds -s, 0 and s only. BitCPM4
// (MiniCPM4: arXiv:2506.07900) keeps its so, in bf16.
#pragma once

#include <atomic>

#include "kernels/tensor.h"

namespace minicpm {

/// y = x in packed tiles (kernels/packed.h), nothing rounded; `exact` becomes false where a group
/// of x is not ternary, or has an s that is no f16: what y holds then is of no use.
struct PackTernary {
  Tensor y;  // [rows, columns], w2; rows beyond the last become zeros
  Tensor x;  // [rows, columns], f32, f16 or bf16
  std::atomic<bool>* exact;

  void check() const;
};

/// One row tile: rows [tile * 16, ...) of x. Nothing where `exact` is false already.
void pack_ternary_tile(const PackTernary& op, int64_t tile);

}  // namespace minicpm
