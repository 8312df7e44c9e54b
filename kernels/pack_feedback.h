// Rounding weights column by column, each making up for the errors of those before it.
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

/// y = x in packed tiles (kernels/packed.h), every row for itself, the columns in an order that is
/// that of the coefficients (kernels/feedback.h), so that groups are the same whatever it is:
///
///   v[k] = x[order[k]] + sum over j < k of coefficients[k, j] (x - weight of y)[order[j]]
///   q[order[k]] = v[k] / the scale of its group, rounded to nearest (ties to even) and clamped
///
/// Scales are chosen before. Of q(l) = x * l / m rounded and clamped, m the group's number of the
/// largest magnitude, it is the one of least squares, weighted by importance, that explains most:
///
///   w8  q in [-127, 127]: scale = |m| / 127, nothing to choose
///   w4  q in [-8, 7]: l = -6.5, -6.75 .. -9
///   w2  q in [-1, 1]: l = 0.75, 1 .. 3.25
///
/// The scale is rounded to f16 (at most 65504); where it is 0, q is 0. A group of x that holds a
/// number which is none has the scale NaN and q = 0, and feeds nothing back. Sums over j differ in
/// their order between instruction sets.
struct PackFeedback {
  Tensor y;             // [rows, columns], w8, w4 or w2; the last row tile is filled up with zeros
  Tensor x;             // [rows, columns], f32
  Tensor order;         // [1, columns], i32: each column once
  Tensor coefficients;  // [columns, columns], f32, their lower half
  Tensor importance;    // [1, columns], f32, above 0, as the coefficients

  void check() const;
};

/// What a format's numbers are, and the l to choose from.
struct FeedbackLevels {
  float low, high;
  float first, step;
  int count;
};

static constexpr FeedbackLevels feedback_levels(DType format) {
  if (format == DType::w8) return {-127, 127, 127, 0, 0};
  if (format == DType::w4) return {-8, 7, -6.5f, -0.25f, 11};
  return {-1, 1, 0.75f, 0.25f, 11};
}

}  // namespace minicpm
