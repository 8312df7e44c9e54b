// Softmax over a part of a row, in place and not yet normalized.
#pragma once

#include "kernels/cpu/simd.h"

namespace minicpm::ISA {

/// The numbers of one vector at index `first` that lie in [low, high), minus infinity elsewhere.
inline f32x16 within(f32x16 x, int64_t first, int64_t low, int64_t high) {
  if (first >= low && first + kLanes <= high) return x;
  const f32x16 hidden = broadcast(-__builtin_inff()), lane = load(kLaneNumbers);
  const f32x16 before = broadcast(static_cast<float>(low - first));
  const f32x16 behind = broadcast(static_cast<float>(high - first));
  return select_less(lane, before, hidden, select_less(lane, behind, x, hidden));
}

/// The largest of the numbers [low, high) of whole vectors.
inline float largest_within(const float* x, int64_t low, int64_t high) {
  f32x16 most = broadcast(-__builtin_inff());
  for (int64_t i = 0; i < high; i += kLanes) most = max(most, within(load(x + i), i, low, high));
  return largest(most);
}

/// x[i] becomes e^(x[i] - top) for the numbers [low, high), 0 before and behind, for whole
/// vectors. Returns their sum.
inline float exp_within(float* x, int64_t low, int64_t high, float top) {
  f32x16 total = broadcast(0);
  for (int64_t i = 0; i < high; i += kLanes) {
    const f32x16 e = exp_to_one(within(load(x + i), i, low, high) - broadcast(top));
    store(x + i, e);
    total = total + e;
  }
  return sum(total);
}

}  // namespace minicpm::ISA
