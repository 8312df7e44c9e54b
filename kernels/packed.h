// Packed weights: integers in tiles that the CPU multiplies as they lie in memory, the same bytes
// on every machine, in memory as in a file.
//
// A matrix [rows, columns] becomes row tiles of 16 rows, one after the other; rows beyond the last
// are zeros. A row tile holds, at multiples of 64 bytes:
//
//   scales    [group][16 rows], f16; a group is 32, 64 or 128 columns, the last one may be shorter
//   integers  lines of 64 bytes = 1 (w8), 2 (w4) or 4 (w2) steps of 4 columns x 16 rows
//
// A byte of a line belongs to row byte / 4 and to column byte % 4 of its steps. It holds the
// integers u of those steps, the first in the lowest bits, and u = q + zero:
//
//   w8  8 bits, zero 128, q in [-127, 127]
//   w4  4 bits, zero 8,   q in [-8, 7]
//   w2  2 bits, zero 1,   q in [-1, 1] (ternary)
//
//   weight[row][column] = float(q) * scale[column / group][row]
//
// So one line feeds steps without any shuffling: 32-bit lane r holds 4 columns of row r, and sums
// never cross lanes. Columns are a multiple of 32. Functions here have internal linkage: every
// instruction set gets its own copy.
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

static constexpr int packed_bits(DType format) {
  return format == DType::w8 ? 8 : format == DType::w4 ? 4 : 2;
}

/// What u is above q.
static constexpr int packed_zero(DType format) {
  return format == DType::w8 ? 128 : format == DType::w4 ? 8 : 1;
}

static constexpr int64_t packed_groups(int64_t columns, int group) {
  return (columns + group - 1) / group;
}

/// Bytes of a row tile before its integers.
static constexpr int64_t packed_scale_bytes(int64_t columns, int group) {
  const int64_t bytes = packed_groups(columns, group) * kPackedRows * 2;
  return (bytes + kPackedLine - 1) / kPackedLine * kPackedLine;
}

/// Bytes of one row tile: matrices of the same columns under each other are tiles behind each
/// other.
static constexpr int64_t packed_tile_bytes(DType format, int64_t columns, int group) {
  return packed_scale_bytes(columns, group) + columns * kPackedRows * packed_bits(format) / 8;
}

static constexpr int64_t packed_tiles(int64_t rows) {
  return (rows + kPackedRows - 1) / kPackedRows;
}

static constexpr size_t packed_bytes(DType format, int64_t rows, int64_t columns, int group) {
  return static_cast<size_t>(packed_tiles(rows) * packed_tile_bytes(format, columns, group));
}

/// One row of a packed matrix, number by number: the definition.
struct PackedRow {
  const unsigned char* tile;
  int64_t lane;  // row in the tile
  DType format;
  int64_t columns;
  int group;

  PackedRow(const Tensor& matrix, int64_t row);

  int q(int64_t column) const;
  float scale(int64_t column) const;
  /// q * scale: exact, 19 bits at most.
  float weight(int64_t column) const { return static_cast<float>(q(column)) * scale(column); }
};

/// Throws Error{kShape} unless `matrix` is packed, aligned to 64 bytes, of a group of 32, 64 or 128
/// and whole blocks of columns.
void expect_packed(const char* op, const char* name, const Tensor& matrix);

}  // namespace minicpm
