#include "kernels/packed.h"

namespace minicpm {

PackedRow::PackedRow(const Tensor& matrix, int64_t row)
    : tile(matrix.as<const unsigned char>() +
           row / kPackedRows * packed_tile_bytes(matrix.dtype, matrix.columns, matrix.group)),
      lane(row % kPackedRows),
      format(matrix.dtype),
      columns(matrix.columns),
      group(matrix.group) {}

int PackedRow::q(int64_t column) const {
  const int bits = packed_bits(format), steps = 8 / bits;  // of a line
  const int64_t step = column / kPackedStep;
  const unsigned char* line =
      tile + packed_scale_bytes(columns, group) + step / steps * kPackedLine;
  const int byte = line[lane * kPackedStep + column % kPackedStep];
  const int u = byte >> (step % steps * bits) & ((1 << bits) - 1);
  return u - packed_zero(format);
}

float PackedRow::scale(int64_t column) const {
  uint16_t half;
  std::memcpy(&half, tile + 2 * (column / group * kPackedRows + lane), sizeof half);
  return f16_to_f32(half);
}

void expect_packed(const char* op, const char* name, const Tensor& matrix) {
  expect(op, is_packed(matrix.dtype), "packed weights should be w8, w4 or w2");
  expect(op, matrix.group == 32 || matrix.group == 64 || matrix.group == 128,
         "packed weights should have groups of 32, 64 or 128 columns");
  expect(op, matrix.columns > 0 && matrix.columns % kPackedColumns == 0,
         "packed weights should have a multiple of 32 columns");
  expect(op, reinterpret_cast<uintptr_t>(matrix.data) % kPackedLine == 0,
         "packed weights should start at a multiple of 64 bytes");
  expect(op, name, matrix, matrix.rows, matrix.columns, matrix.dtype);
}

}  // namespace minicpm
