// Rows of weights as lanes: a column of 16 or 32 rows is worked on at once, and what a column owes
// to another is one broadcast for all of them.
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/packed.h"

namespace minicpm::ISA {

constexpr int kMostGroup = 128;
constexpr int kRowRegisters = 2;
constexpr int kLaneRows = kWideLanes == 16 ? 32 : 16;  // whole tiles
constexpr int kFedColumns = kWideLanes == 16 ? 8 : 4;  // at once, in registers; divides a group

/// A column of rows.
using LaneColumn = float[kLaneRows];

/// v[i] += sum over j in [begin, end) of coefficients[i * apart + j] errors[j], for so many columns
/// i.
template <int Columns>
inline void feed(const float* coefficients, int64_t apart, const LaneColumn* errors, int64_t begin,
                 int64_t end, LaneColumn* v) {
  for (int at = 0; at < kLaneRows; at += kRowRegisters * kWideLanes) {
    Wide sums[Columns][kRowRegisters];
    for (int i = 0; i < Columns; i++) {
      for (int r = 0; r < kRowRegisters; r++) sums[i][r] = load_wide(v[i] + at + r * kWideLanes);
    }
    for (int64_t j = begin; j < end; j++) {
      Wide error[kRowRegisters];
      for (int r = 0; r < kRowRegisters; r++) error[r] = load_wide(errors[j] + at + r * kWideLanes);
      for (int i = 0; i < Columns; i++) {
        const Wide c = broadcast_wide(coefficients[i * apart + j]);
        for (int r = 0; r < kRowRegisters; r++) sums[i][r] = multiply_add(c, error[r], sums[i][r]);
      }
    }
    for (int i = 0; i < Columns; i++) {
      for (int r = 0; r < kRowRegisters; r++) store(v[i] + at + r * kWideLanes, sums[i][r]);
    }
  }
}

/// Ties to even, clamped, still floats.
inline f32x16 rounded(f32x16 quotient, f32x16 low, f32x16 high) {
  const f32x16 shifter = broadcast(0x1.8p23f);
  const f32x16 least = max(quotient, low);
  return (select_less(least, high, least, high) + shifter) - shifter;
}

/// The rows from `row` on of a packed matrix with symmetric scales; there are `count`, those that
/// fill up the last tile among them.
struct PackedLanes {
  PackedLanes(const Tensor& matrix, int64_t row)
      : matrix_(matrix),
        tiles_(static_cast<unsigned char*>(matrix.data) +
               row / kPackedRows * packed_tile_bytes(matrix)),
        count(static_cast<int>(packed_tiles(matrix.rows) * kPackedRows - row)) {
    if (count > kLaneRows) count = kLaneRows;
  }

  uint16_t& scale(int64_t group, int lane) const {
    return reinterpret_cast<uint16_t*>(tile(lane))[group * kPackedRows + lane % kPackedRows];
  }
  void get(int64_t column, float* q) const {
    const int zero = packed_zero(matrix_.dtype);
    for (int lane = 0; lane < kLaneRows; lane++) {
      const auto [byte, shift] = place(column, lane);
      q[lane] = lane < count
                    ? static_cast<float>((integers(column, lane)[byte] >> shift & mask()) - zero)
                    : 0;
    }
  }
  void put(int64_t column, const float* q) const {
    const int zero = packed_zero(matrix_.dtype);
    for (int lane = 0; lane < count; lane++) {
      const auto [byte, shift] = place(column, lane);
      unsigned char& bits = integers(column, lane)[byte];
      const int u = static_cast<int>(q[lane]) + zero;
      bits = static_cast<unsigned char>((bits & ~(mask() << shift)) | u << shift);
    }
  }

 private:
  int mask() const { return (1 << packed_bits(matrix_.dtype)) - 1; }
  PackedPlace place(int64_t column, int lane) const {
    return packed_place(packed_bits(matrix_.dtype), lane % kPackedRows, column);
  }
  unsigned char* tile(int lane) const {
    return tiles_ + lane / kPackedRows * packed_tile_bytes(matrix_);
  }
  unsigned char* integers(int64_t column, int lane) const {
    return tile(lane) + packed_scale_bytes(matrix_.columns, matrix_.group) +
           column / kPackedColumns * packed_block_bytes(matrix_.dtype);
  }

  const Tensor& matrix_;
  unsigned char* tiles_;

 public:
  int count;
};

}  // namespace minicpm::ISA
