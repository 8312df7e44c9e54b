// Rounding weights to nearest, group by group. Ternary: Li & Liu 2016, arXiv:1605.04711.
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y = x in packed tiles (kernels/packed.h), each group of a row for itself:
///
///   w8  scale = max |x| / 127
///   w4  scale = the one of kernels/w4_scale.h, or m / -8, m the number of the largest magnitude
///   (the
///       first of equals), where its weighted error is no larger: 16 levels
///   w2  scale = mean |x| over those with |x| > 0.7 mean |x|: exact for weights that are ternary
///   q   = x / scale, rounded to nearest (ties to even) and clamped
///
/// The scale is rounded to f16 first (at most 65504). Where it is 0, q is 0. A group that holds a
/// number which is none has the scale NaN and q = 0.
///
/// The same bytes from every implementation: float divisions and roundings are exact, and the means
/// are summed in double in the order of the columns.
struct Pack {
  Tensor y;  // [rows, columns], w8, w4 or w2; the last row tile is filled up with zeros
  Tensor x;  // [rows, columns], f32, f16 or bf16

  void check() const;
};

/// One row tile: rows [tile * 16, ...) of x. `row` is memory for `columns` numbers.
void pack_tile(const Pack& op, int64_t tile, float* row);

}  // namespace minicpm
