// What the two linears of packed weights and int8 activations share. Both give the definition's
// bits (kernels/linear.h): dot products of 32 columns are exact integers, and their scales are
// added in the order of the columns.
#pragma once

#include "kernels/cuda/linear_rows.h"
#include "kernels/cuda/packed_matrix.cuh"
#include "kernels/cuda/rounded_rows.cuh"

namespace minicpm::cuda {

/// Few rows of x: reads the weights once for up to 8 of them.
void linear_rounded_few(const Linear& op, Stream stream);
/// Many rows, on tensor cores.
void linear_rounded_many(const Linear& op, Stream stream);

/// Q6_K's, whose halves of 32 columns have a step each.
template <DType kFormat>
constexpr bool kHasHalves = kFormat == DType::w6;

/// What 32 columns of a row of weights are multiplied with; with two levels, each half of them with
/// its step before.
struct BlockScale {
  float scale, minimum;
  float steps[2];

  DEVICE BlockScale(const PackedMatrix& weight, int64_t tile, int64_t lane, int64_t column) {
    if (weight.scales == Scales::two_level) {
      scale = weight.super_scale(tile, lane, column);
      steps[0] = weight.step_of(tile, lane, column);
      steps[1] = weight.step_of(tile, lane, column + kPackedColumns / 2);
    } else {
      scale = weight.scale(tile, lane, column);
    }
    minimum = weight.minimum_of(tile, lane, column);
  }
};

/// A block's two halves of columns times their steps, exact.
DEVICE float both_halves(int32_t first, int32_t last, const float* steps) {
  return fmaf(static_cast<float>(last), steps[1], static_cast<float>(first) * steps[0]);
}

/// y + the dot product of a block in numbers; `x_sum`: of the integers of x.
DEVICE float add_block(float y, float dot, float scale, float minimum, Scales scales, float x_scale,
                       int32_t x_sum) {
  y = fmaf(dot, scale * x_scale, y);
  return has_minimum(scales) ? fmaf(-minimum, x_scale * static_cast<float>(x_sum), y) : y;
}

}  // namespace minicpm::cuda
