// Packed weights made better where they are, after a first rounding: what one integer or scale can
// do for all the others. Coordinate descent, as in arXiv:2406.17542 (CDQuant), here on scales, too.
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// Lowers e H e^T, with e = x - weights of y, of each row for itself. A pass takes one group of
/// columns after the other, and of it
///
///   the scale       to where the sum is least, q as they are; rounded to f16
///   each q in turn  to where the sum is least, all others as they are; rounded and clamped as in
///                   kernels/pack_feedback.h
///
/// A scale that is 0 or NaN stays, and so do its q; e counts as 0 where it is NaN. Sums differ in
/// their order between instruction sets.
struct Refine {
  Tensor y;        // [rows, columns], w8, w4 or w2, packed
  Tensor x;        // [rows, columns], f32: what y should be
  Tensor hessian;  // H, [columns, columns], f32, symmetric, its diagonal above 0
  int passes;

  void check() const;
};

}  // namespace minicpm
