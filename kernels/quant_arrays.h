// Matrices whose integers, scales and zero points lie in arrays of their own, columns outermost:
// GPTQ (Frantar et al. 2022, arXiv:2210.17323), AWQ (Lin et al. 2023, arXiv:2306.00978), and what
// CPM.cu makes of GPTQ for the Marlin kernel.
#pragma once

#include <cstddef>

#include "kernels/half.h"
#include "kernels/tensor.h"

namespace minicpm {

/// How the integers lie in little-endian words of 32 bits, 8 of 4 bits or 4 of 8, from the lowest
/// bits up. Zero points lie as the integers of gptq's rows or awq's do, where there are any.
///
///   gptq4, gptq8  integers [columns / n][rows]: a word has n columns of a row;
///                 zero points [groups][rows / n]: a word has n rows of a group
///   awq4          integers [columns][rows / 8], zero points [groups][rows / 8]: a word has 8 rows,
///                 in the order 0 2 4 6 1 3 5 7
///   marlin4       integers [columns / 16][rows / 64][128]: a tile of 16 columns x 64 rows in the
///                 order of an m16n8k16 fragment; no zero points
///
/// Scales are f16 or bf16 [groups][rows]; marlin4 has them permuted, 64 rows at a time, or 32 where
/// all columns are one group.
enum class ArrayType : uint8_t { gptq4, gptq8, awq4, marlin4 };

constexpr int array_bits(ArrayType type) {
  return type == ArrayType::gptq8 ? 8 : 4;
}

struct QuantArrays {
  ArrayType type;
  int64_t rows, columns;
  int64_t group;              // columns that share a scale; the last group may be shorter
  const std::byte* integers;  // aligned to nothing, as all three
  const std::byte* scales;
  const std::byte* zeros;    // null: every zero point is 2^(bits - 1)
  bool bf16_scales = false;  // each counts as the f16 next to it: the same number from 2^-14 on
  int added_to_zeros = 0;    // GPTQ's first format stores zero points less 1, modulo 2^bits
  /// Of gptq: columns here are those of `integers` in this order, so that groups are neighbours.
  /// Null: they are.
  const int32_t* order = nullptr;

  int64_t groups() const { return (columns + group - 1) / group; }
  size_t integer_bytes() const;
  size_t scale_bytes() const;
  size_t zero_bytes() const;

  /// One number: the definition.
  int integer(int64_t row, int64_t column) const;
  F16 scale(int64_t row, int64_t group) const;
  int zero(int64_t row, int64_t group) const;
  /// (integer - zero) * scale: exact in float.
  float weight(int64_t row, int64_t column) const;

  /// words[i] = 8 columns (4 of 8 bits) of row first + i from `column` on, the first in the lowest
  /// bits; 0 from row `first + count` on. `first` is a multiple of 16, `column` of 8.
  void read_words(int64_t first, int64_t count, int64_t column, uint32_t* words) const;
};

/// y = rows of the arrays in packed tiles (kernels/packed.h): their own integers, scales and zero
/// points, so that each weight of y has the bits that the arrays give. Nothing is rounded.
struct RepackArrays {
  Tensor y;  // w8 or w4, with zero points or, where all are 2^(bits - 1), symmetric; rows beyond
             // the last become zeros
  QuantArrays x;          // of groups that those of y divide
  int64_t first_row = 0;  // of x, where y begins: a multiple of 16

  void check() const;
};

/// One row tile: rows [tile * 16, ...) of y.
void repack_arrays_tile(const RepackArrays& op, int64_t tile);

}  // namespace minicpm
