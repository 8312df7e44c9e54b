#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y = residual + scale * (x weight^T), the residual left out where it has no data.
///
/// Contract 1: a row of y depends on its row of x (and of residual) only; its sums run in the same
/// order whatever the number of rows.
///
/// Float weights take x in f32 and are summed in an order that may differ between instruction sets.
/// Packed weights (kernels/packed.h) give the same bits on all of them. With x in a8, 32 columns by
/// 32, in the order of the columns:
///
///   y = fma(float(sum of q * integer), weight scale * x scale, y), the sum exact in int32
///   y = fma(-minimum, x scale * float(sum of integers), y), where the weights have minimums
///
/// where the sum of w6 has each q times its step, and d is its weight scale. With x in f32, the
/// ground on which packed weights are judged, 32 by 32 too (w6: 16 by 16):
///
///   s[j] = fma(float(q), x, s[j]) for the columns with column % 4 = j, in order, from 0
///   y = fma((s[0] + s[1]) + (s[2] + s[3]), weight scale, y)
///   y = fma(-minimum, (t[0] + t[1]) + (t[2] + t[3]), y), t[j] = t[j] + x like s[j]
///
/// All from y = 0, every operation rounded once to float, and the end is residual + scale * y.
struct Linear {
  Tensor y;         // [tokens, out], f32
  Tensor x;         // [tokens, in], f32, or a8 with packed weights
  Tensor weight;    // [out, in], f32, f16 or bf16: as the checkpoint stores it; or packed
  Tensor residual;  // [tokens, out], f32, or no data; may be the same memory as y
  float scale = 1;

  void check() const;
};

/// Linears of one x, run together: the bits are those of one after the other.
struct Linears {
  Linear parts[3];
  int count;

  void check() const;
};

}  // namespace minicpm
