#include "kernels/packed.h"

#include <cmath>

namespace minicpm {

PackedRow::PackedRow(const Tensor& matrix, int64_t row)
    : tile(matrix.as<const unsigned char>() + row / kPackedRows * packed_tile_bytes(matrix)),
      lane(row % kPackedRows),
      format(matrix.dtype),
      columns(matrix.columns),
      group(matrix.group),
      scales(matrix.scales) {}

int PackedRow::q(int64_t column) const {
  const unsigned char* block = tile + packed_scale_bytes(columns, group, scales) +
                               column / kPackedColumns * packed_block_bytes(format);
  const auto bits_at = [&](int bits, int64_t first) {
    const auto [byte, shift] = packed_place(bits, lane, column);
    return block[first + byte] >> shift & ((1 << bits) - 1);
  };
  const int bits = packed_bits(format);
  const int u = has_planes(format)
                    ? bits_at(4, 0) | bits_at(bits - 4, packed_block_bytes(DType::w4)) << 4
                    : bits_at(bits, 0);
  return u - packed_zero(format, scales);
}

int PackedRow::step(int64_t column) const {
  return packed_scales(tile, columns, group, scales).step[column / group * kPackedRows + lane];
}

float PackedRow::super_scale(int64_t column) const {
  const F16* d = packed_scales(tile, columns, group, scales).scale;
  return f16_to_f32(d[column / kPackedSuper * kPackedRows + lane].bits);
}

float PackedRow::scale(int64_t column) const {
  if (has_two_levels(scales)) return super_scale(column) * static_cast<float>(step(column));
  const F16* scale = packed_scales(tile, columns, group, scales).scale;
  return f16_to_f32(scale[column / group * kPackedRows + lane].bits);
}

float PackedRow::minimum(int64_t column) const {
  const PackedScales parts = packed_scales(tile, columns, group, scales);
  const int64_t at = column / group * kPackedRows + lane;
  switch (scales) {
    case Scales::minimum:
      return f16_to_f32(parts.minimum[at].bits);
    case Scales::zero_point:
      return scale(column) * static_cast<float>(parts.step[at]);
    case Scales::two_level_minimum:
      return f16_to_f32(parts.minimum[column / kPackedSuper * kPackedRows + lane].bits) *
             static_cast<float>(parts.minimum_step[at]);
    default:
      return 0;
  }
}

float PackedRow::weight(int64_t column) const {
  return std::fma(static_cast<float>(q(column)), scale(column), -minimum(column));
}

namespace {

/// The formats whose multiplication there is.
bool goes_with(DType format, Scales scales) {
  switch (format) {
    case DType::w6:
      return scales == Scales::two_level;
    case DType::w5:
      return scales != Scales::two_level && scales != Scales::zero_point;
    case DType::w4:
      return scales != Scales::two_level;
    case DType::w8:
      return scales == Scales::symmetric || scales == Scales::zero_point;
    default:
      return scales == Scales::symmetric;
  }
}

}  // namespace

void expect_packed(const char* op, const char* name, const Tensor& matrix) {
  expect(op, is_packed(matrix.dtype), "packed weights should be w8, w6, w5, w4 or w2");
  const bool levels = has_two_levels(matrix.scales);
  expect(op, goes_with(matrix.dtype, matrix.scales),
         "packed weights should have scales that their format can have");
  if (matrix.scales == Scales::two_level) {
    expect(op, matrix.group == 16, "w6 should have groups of 16 columns");
  } else if (levels) {
    expect(op, matrix.group == 32, "packed weights of two levels should have groups of 32 columns");
  } else {
    expect(op, matrix.group == 32 || matrix.group == 64 || matrix.group == 128,
           "packed weights should have groups of 32, 64 or 128 columns");
  }
  expect(op, matrix.columns > 0 && matrix.columns % (levels ? kPackedSuper : kPackedColumns) == 0,
         levels ? "packed weights of two levels should have a multiple of 256 columns"
                : "packed weights should have a multiple of 32 columns");
  expect(op, reinterpret_cast<uintptr_t>(matrix.data) % kPackedLine == 0,
         "packed weights should start at a multiple of 64 bytes");
  expect(op, name, matrix, matrix.rows, matrix.columns, matrix.dtype);
}

}  // namespace minicpm
