#pragma once

#include <cstddef>
#include <span>

#include "kernels/quant_blocks.h"
#include "kernels/tensor.h"

namespace minicpm {

/// y = rows of quant blocks in packed tiles (kernels/packed.h): their own integers, scales and
/// minimums, so that each weight of y has the bits that `dequantize` gives. Nothing is rounded.
struct Repack {
  Tensor y;  // [rows, columns], packed as shape_of(type) says; rows beyond the last become zeros
  QuantType type;
  std::span<const std::byte* const> rows;  // where the blocks of each row of y begin

  void check() const;
};

/// One row tile: rows [tile * 16, ...) of y.
void repack_tile(const Repack& op, int64_t tile);

}  // namespace minicpm
