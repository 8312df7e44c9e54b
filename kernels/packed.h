// Packed weights: integers in tiles that the CPU multiplies as they lie in memory, the same bytes
// on every machine, in memory as in a file.
//
// A matrix [rows, columns] becomes row tiles of 16 rows, one after the other; rows beyond the last
// are zeros. A row tile holds, at multiples of 64 bytes, its scales and then its integers. Scales
// are arrays [group][16 rows], one behind the other; a group is 32, 64 or 128 columns, the last one
// may be shorter:
//
//   symmetric           scale f16
//   minimum             scale f16, minimum f16
//   zero_point          scale f16, zero point int8
//   two_level           d f16 of 256 columns; step int8 of 16: GGUF's Q6_K, w6 only
//   two_level_minimum   d, dmin f16 of 256 columns; step, minimum step int8 of 32: its Q4_K and
//   Q5_K
//
// Integers are u = q + zero, q what the matrix means, in lines of 64 bytes. A byte of a line
// belongs to row byte / 4, and to column byte % 4 of the steps (4 columns x 16 rows) that the line
// has:
//
//   w8  8 bits, zero 128: a step a line
//   w6  6 bits, zero 32: 32 columns are 4 lines as w4 has them, then 2 of the upper two bits, 4
//       steps each
//   w5  5 bits, zero 16: 4 lines as w4 has them, then 1 of the uppermost bits, 8 steps
//   w4  4 bits, zero 8: 2 steps, the first in the lower bits
//   w2  2 bits, zero 1: 4 steps; ternary where q is in [-1, 1]
//
// Where there is a minimum (w4, w5) or a zero point (w4, w8), zero is 0: u = q; but with w8 it
// stays 128, so that zero points, which are 128 less then, fit int8. Then
//
//   scale    = scale, or d * step: exact in float
//   minimum  = minimum, or scale * zero point, or dmin * minimum step: exact; else 0
//   weight   = q * scale - minimum, rounded once
//
// So one line feeds steps without any shuffling: 32-bit lane r holds 4 columns of row r, and sums
// never cross lanes. Columns are a multiple of 32, with two levels of 256. Functions here have
// internal linkage: every instruction set gets its own copy.
#pragma once

#include "kernels/half.h"
#include "kernels/tensor.h"

namespace minicpm {

/// Counts up when the layout above changes: in the header of every packed file.
constexpr int kPackedLayout = 1;

constexpr int64_t kPackedRows = 16;     // of a row tile
constexpr int64_t kPackedStep = 4;      // columns of a step
constexpr int64_t kPackedColumns = 32;  // columns are a multiple of this: a group of activations
constexpr int64_t kPackedLine = 64;     // bytes
constexpr int64_t kPackedSuper = 256;   // columns that share d where there are two levels

static constexpr int packed_bits(DType format) {
  switch (format) {
    case DType::w8:
      return 8;
    case DType::w6:
      return 6;
    case DType::w5:
      return 5;
    case DType::w4:
      return 4;
    default:
      return 2;
  }
}

/// Its upper bits lie in lines of their own.
static constexpr bool has_planes(DType format) {
  return format == DType::w6 || format == DType::w5;
}

static constexpr bool has_two_levels(Scales scales) {
  return scales == Scales::two_level || scales == Scales::two_level_minimum;
}

static constexpr bool has_minimum(Scales scales) {
  return scales != Scales::symmetric && scales != Scales::two_level;
}

/// What u is above q.
static constexpr int packed_zero(DType format, Scales scales = Scales::symmetric) {
  if (has_minimum(scales) && format != DType::w8) return 0;
  return 1 << packed_bits(format) >> (format == DType::w2 ? 2 : 1);
}

static constexpr int64_t packed_groups(int64_t columns, int group) {
  return (columns + group - 1) / group;
}

/// Bytes of a row tile before its integers.
static constexpr int64_t packed_scale_bytes(int64_t columns, int group,
                                            Scales scales = Scales::symmetric) {
  const int64_t groups = packed_groups(columns, group), supers = columns / kPackedSuper;
  int64_t a_row = 0;
  switch (scales) {
    case Scales::symmetric:
      a_row = 2 * groups;
      break;
    case Scales::minimum:
      a_row = 4 * groups;
      break;
    case Scales::zero_point:
      a_row = 3 * groups;
      break;
    case Scales::two_level:
      a_row = 2 * supers + groups;
      break;
    case Scales::two_level_minimum:
      a_row = 4 * supers + 2 * groups;
      break;
  }
  return (a_row * kPackedRows + kPackedLine - 1) / kPackedLine * kPackedLine;
}

/// Bytes of one row tile: matrices of the same columns under each other are tiles behind each
/// other.
static constexpr int64_t packed_tile_bytes(DType format, int64_t columns, int group,
                                           Scales scales = Scales::symmetric) {
  return packed_scale_bytes(columns, group, scales) +
         columns * kPackedRows * packed_bits(format) / 8;
}

static constexpr int64_t packed_tile_bytes(const Tensor& matrix) {
  return packed_tile_bytes(matrix.dtype, matrix.columns, matrix.group, matrix.scales);
}

static constexpr int64_t packed_tiles(int64_t rows) {
  return (rows + kPackedRows - 1) / kPackedRows;
}

static constexpr size_t packed_bytes(DType format, int64_t rows, int64_t columns, int group,
                                     Scales scales = Scales::symmetric) {
  return static_cast<size_t>(packed_tiles(rows) *
                             packed_tile_bytes(format, columns, group, scales));
}

/// Where the scales of a row tile are, number r of an entry its row's; null where there are none.
struct PackedScales {
  const F16* scale;            // of a group, or d
  const F16* minimum;          // of a group, or dmin
  const int8_t* step;          // of a group, or zero points
  const int8_t* minimum_step;  // of a group
};

static inline PackedScales packed_scales(const void* tile, int64_t columns, int group,
                                         Scales scales) {
  const bool levels = has_two_levels(scales);
  const int64_t groups = packed_groups(columns, group);
  const int64_t halves = (levels ? columns / kPackedSuper : groups) * kPackedRows;
  const auto* scale = static_cast<const F16*>(tile);
  const bool minimum = scales == Scales::minimum || scales == Scales::two_level_minimum;
  const auto* bytes = reinterpret_cast<const int8_t*>(scale + (minimum ? 2 : 1) * halves);
  return {scale, minimum ? scale + halves : nullptr,
          levels || scales == Scales::zero_point ? bytes : nullptr,
          scales == Scales::two_level_minimum ? bytes + groups * kPackedRows : nullptr};
}

/// Of the first byte that has bits of a column of a row: where it is behind the row tile's
/// integers, and the bits' place in it.
struct PackedPlace {
  int64_t byte;
  int shift;
};

/// Where `bits` bits of a column lie in lines that hold 8 / bits steps each, from a block's first
/// line on.
static constexpr PackedPlace packed_place(int bits, int64_t lane, int64_t column) {
  const int64_t steps = 8 / bits, step = column % kPackedColumns / kPackedStep;
  return {step / steps * kPackedLine + lane * kPackedStep + column % kPackedStep,
          static_cast<int>(step % steps) * bits};
}

/// Bytes of the integers of 32 columns; with planes, so many of them are the lower four bits.
static constexpr int64_t packed_block_bytes(DType format) {
  return kPackedColumns * kPackedRows * packed_bits(format) / 8;
}

constexpr uint16_t kPackedNan = 0x7e00;  // scale of a group that holds no number

/// A finite scale as it is stored: f16, at most 65504.
static inline uint16_t packed_scale(float scale) {
  constexpr uint16_t kLargest = 0x7bff;
  const uint16_t half = f32_to_f16(scale);
  const auto magnitude = static_cast<uint16_t>(half & 0x7fff);
  if (magnitude == 0) return 0;
  return magnitude > kLargest ? static_cast<uint16_t>(half - magnitude + kLargest) : half;
}

/// One row of a packed matrix, number by number: the definition.
struct PackedRow {
  const unsigned char* tile;
  int64_t lane;  // row in the tile
  DType format;
  int64_t columns;
  int group;
  Scales scales;

  PackedRow(const Tensor& matrix, int64_t row);

  int q(int64_t column) const;
  float scale(int64_t column) const;
  /// What is subtracted; 0 where there is no minimum.
  float minimum(int64_t column) const;
  /// With two levels: what the group's d is multiplied with.
  int step(int64_t column) const;
  /// With two levels: d.
  float super_scale(int64_t column) const;
  /// q * scale - minimum, rounded once.
  float weight(int64_t column) const;
};

/// Throws Error{kShape} unless `matrix` is packed, aligned to 64 bytes, of a group that its scales
/// can have, and of whole blocks of columns.
void expect_packed(const char* op, const char* name, const Tensor& matrix);

}  // namespace minicpm
