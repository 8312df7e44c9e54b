// GGUF's quant blocks (ggml-common.h): runs of a row's numbers as integers of 2 to 8 bits with
// their scales.
#pragma once

#include <cstddef>

#include "kernels/half.h"
#include "kernels/tensor.h"

namespace minicpm {

enum class QuantType : uint8_t { q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k, q6_k, tq1_0, tq2_0 };

/// A type's blocks, and the packed weights that hold the same numbers exactly.
struct QuantShape {
  int elements;
  int bytes;
  DType format;
  Scales scales;
  int group;
};

QuantShape shape_of(QuantType type);

/// Bytes of a row of `columns` numbers, whole blocks.
size_t quant_row_bytes(QuantType type, int64_t columns);

/// 32 columns of a row, as kernels/packed.h names the parts. `scale` and `minimum` are d and dmin
/// where there are two levels; `steps` are of 16 columns each.
struct QuantGroup {
  uint8_t u[32];
  F16 scale, minimum;
  int8_t steps[2], minimum_step;
};

/// Those from `column` on, a multiple of 32.
QuantGroup quant_group(QuantType type, const std::byte* row, int64_t column);

/// numbers = a row's: (u - zero) * scale - minimum, each rounded once, as ggml has it.
void dequantize(QuantType type, const std::byte* row, int64_t columns, float* numbers);

}  // namespace minicpm
