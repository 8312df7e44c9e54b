// Activations rounded to int8 (a8): groups of 32 columns, a scale each; laid out as the linear with
// packed weights reads them, the same bytes on every machine.
//
// Rows lie in blocks of 6, the last one shorter: so many are multiplied in one pass over the
// weights. Of all blocks there are first the integers, then the scales, the sums and the halves;
// with n rows in a block and what stands last lying closest together:
//
//   integers  [columns / 4][n rows][4], int8 in [-127, 127]
//   scales    [columns / 32][n rows], f32
//   sums      [columns / 32][n rows], int32: the group's integers added up
//   halves    [columns / 32][n rows], int32: the first 16 of them
#pragma once

#include "kernels/tensor.h"

namespace minicpm {

constexpr int64_t kQuantizedRows = 6;    // of a block
constexpr int64_t kQuantizedGroup = 32;  // columns

static constexpr size_t quantized_bytes(int64_t rows, int64_t columns) {
  return static_cast<size_t>(rows * columns + rows * (columns / kQuantizedGroup) * 12);
}

/// Where one block's parts are.
struct QuantizedBlock {
  int64_t rows;
  int8_t* integers;
  float* scales;
  int32_t* sums;
  int32_t* halves;
};

/// Internal linkage: every instruction set gets its own copy.
static inline QuantizedBlock quantized_block(const Tensor& tensor, int64_t block) {
  const int64_t first = block * kQuantizedRows, left = tensor.rows - first;
  const int64_t groups = tensor.columns / kQuantizedGroup;
  auto* integers = static_cast<int8_t*>(tensor.data);
  auto* scales = reinterpret_cast<float*>(integers + tensor.rows * tensor.columns);
  auto* sums = reinterpret_cast<int32_t*>(scales + tensor.rows * groups);
  int32_t* halves = sums + tensor.rows * groups;
  return {left < kQuantizedRows ? left : kQuantizedRows, integers + first * tensor.columns,
          scales + first * groups, sums + first * groups, halves + first * groups};
}

/// y = x rounded, each group of 32 for itself: with m = max |x|,
///
///   scale = m / 127, integer = x * (127 / m) rounded to nearest, ties to even
///
/// all in float, every operation rounded once. Where m < 2^-100, scale and integers are 0 (127 / m
/// would overflow far below). A group that holds a number which is none (infinity or NaN) has the
/// scale NaN and integers 0, so that it makes its row of any product NaN. Every implementation
/// gives the same bytes.
///
/// Where `up` has data, x is taken for silu(x) * up, with the bits of SiluMul.
struct QuantizeRows {
  Tensor y;   // [tokens, columns], a8; columns are a multiple of 32
  Tensor x;   // [tokens, columns], f32
  Tensor up;  // [tokens, columns], f32, or no data

  void check() const;
};

}  // namespace minicpm
