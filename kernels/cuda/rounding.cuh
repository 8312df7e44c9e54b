// Numbers that share a scale, rounded to int8 as QuantizeRows defines it: with m = max |x|, scale =
// m / 127, integer = x * (127 / m) to nearest, ties to even.
#pragma once

#include <cmath>

#include "kernels/cuda/reduce.cuh"

namespace minicpm::cuda {

struct Rounding {
  float scale;
  float factor;  // 0 where nothing is left: tiny numbers, or one that is none

  DEVICE int integer(float x) const {
    return factor == 0 ? 0 : static_cast<int>(rintf(x * factor));
  }
};

/// `largest` is infinite where one of the numbers is none.
DEVICE Rounding rounding_of(float largest) {
  if (largest == INFINITY) return {NAN, 0};
  if (largest < 0x1p-100f) return {0, 0};
  return {largest / 127, 127 / largest};
}

/// |x|, infinite for a NaN, so that the maximum shows whether there was one.
DEVICE float magnitude(float x) {
  return x == x ? fabsf(x) : INFINITY;
}

/// Of `count` numbers, by all threads of a block.
template <int kThreads>
DEVICE Rounding block_rounding(const float* x, int count) {
  float largest = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    largest = Larger()(largest, magnitude(x[i]));
  }
  return rounding_of(block_reduce<kThreads>(largest, Larger()));
}

}  // namespace minicpm::cuda
