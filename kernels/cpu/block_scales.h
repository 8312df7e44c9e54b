// What the integer dot products of 32 columns are multiplied with.
#pragma once

#include "kernels/cpu/dot.h"

namespace minicpm::ISA {

constexpr int64_t kPartRows = kPackedRows / kParts;

/// What the integers of 32 columns of a vector of rows are multiplied with, and what is subtracted
/// from their product for each activation.
struct BlockScales {
  Dots scale, minimum;
};

/// A group is 2^this blocks of 32 columns.
static inline int group_shift(Scales scales, int group) {
  if (scales == Scales::two_level) return 0;
  return __builtin_ctz(static_cast<unsigned>(group / kPackedColumns));
}

/// Those of vector `part` of a tile.
template <Scales S>
inline BlockScales load_block_scales(const PackedScales& from, int64_t part, int64_t block,
                                     int shift) {
  constexpr int kSuperShift = __builtin_ctz(kPackedSuper / kPackedColumns);
  const int64_t row = part * kPartRows;
  const int64_t group = (block >> shift) * kPackedRows + row;
  const int64_t at = has_two_levels(S) ? (block >> kSuperShift) * kPackedRows + row : group;
  BlockScales result{load_scales(from.scale + at), no_dots()};
  if constexpr (S == Scales::minimum) {
    result.minimum = load_scales(from.minimum + at);
  } else if constexpr (S == Scales::zero_point) {
    result.minimum = multiply_scales(result.scale, load_scales(from.step + group));
  } else if constexpr (S == Scales::two_level_minimum) {
    result.scale = multiply_scales(result.scale, load_scales(from.step + group));
    result.minimum =
        multiply_scales(load_scales(from.minimum + at), load_scales(from.minimum_step + group));
  }
  return result;
}

/// y + dot in numbers; `x_sum`: of the 32 integers of x.
template <Scales S>
inline Dots add_block(Dots dot, const BlockScales& weight, float x_scale, int32_t x_sum, Dots y) {
  y = add_scaled(dot, weight.scale, x_scale, y);
  if constexpr (has_minimum(S)) {
    y = subtract_scaled(weight.minimum, x_scale * static_cast<float>(x_sum), y);
  }
  return y;
}

}  // namespace minicpm::ISA
