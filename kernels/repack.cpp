#include "kernels/repack.h"

#include <cstring>

#include "kernels/packed.h"

namespace minicpm {

namespace {

/// Bits [from, from + kBits) of 32 columns of a row, into lines of 8 / kBits steps.
template <int kBits>
inline void set_bits(unsigned char* lines, int64_t lane, const uint8_t* u, int from) {
  for (int64_t i = 0; i < kPackedColumns; i++) {
    const auto [byte, shift] = packed_place(kBits, lane, i);
    const int value = u[i] >> from & ((1 << kBits) - 1);
    lines[byte] |= static_cast<unsigned char>(value << shift);
  }
}

void set_integers(unsigned char* block, DType format, int64_t lane, const uint8_t* u) {
  unsigned char* planes = block + packed_block_bytes(DType::w4);
  switch (format) {
    case DType::w8:
      return set_bits<8>(block, lane, u, 0);
    case DType::w6:
      set_bits<4>(block, lane, u, 0);
      return set_bits<2>(planes, lane, u, 4);
    case DType::w5:
      set_bits<4>(block, lane, u, 0);
      return set_bits<1>(planes, lane, u, 4);
    case DType::w4:
      return set_bits<4>(block, lane, u, 0);
    default:
      return set_bits<2>(block, lane, u, 0);
  }
}

/// Entry `index` of an array of a tile's scales, in `lane`; nothing where there is no such array.
template <typename T>
inline void set_entry(const T* array, int64_t index, int64_t lane, T value) {
  if (array) const_cast<T*>(array)[index * kPackedRows + lane] = value;
}

void set_scales(const PackedScales& scales, const Tensor& y, int64_t lane, int64_t column,
                const QuantGroup& group) {
  const int64_t index = column / (has_two_levels(y.scales) ? kPackedSuper : y.group);
  set_entry(scales.scale, index, lane, group.scale);
  set_entry(scales.minimum, index, lane, group.minimum);
  set_entry(scales.minimum_step, column / y.group, lane, group.minimum_step);
  const int64_t steps = y.group < kPackedColumns ? kPackedColumns / y.group : 1;
  for (int64_t i = 0; i < steps; i++) {
    set_entry(scales.step, column / y.group + i, lane, group.steps[i]);
  }
}

}  // namespace

void Repack::check() const {
  expect_packed("repack", "y", y);
  const QuantShape shape = shape_of(type);
  expect("repack",
         y.dtype == shape.format && y.scales == shape.scales && y.group == shape.group &&
             y.columns % shape.elements == 0,
         "y should have the format of the blocks");
  expect("repack", static_cast<int64_t>(rows.size()) == y.rows, "y should have a row for each row");
}

void repack_tile(const Repack& op, int64_t tile) {
  const Tensor& y = op.y;
  const int64_t bytes = packed_tile_bytes(y), block_bytes = packed_block_bytes(y.dtype);
  auto* start = y.as<unsigned char>() + tile * bytes;
  unsigned char* integers = start + packed_scale_bytes(y.columns, y.group, y.scales);
  const PackedScales scales = packed_scales(start, y.columns, y.group, y.scales);
  std::memset(start, 0, static_cast<size_t>(bytes));
  for (int64_t lane = 0; lane < kPackedRows && tile * kPackedRows + lane < y.rows; lane++) {
    const std::byte* row = op.rows[static_cast<size_t>(tile * kPackedRows + lane)];
    for (int64_t column = 0; column < y.columns; column += kPackedColumns) {
      const QuantGroup group = quant_group(op.type, row, column);
      set_integers(integers + column / kPackedColumns * block_bytes, y.dtype, lane, group.u);
      set_scales(scales, y, lane, column, group);
    }
  }
}

}  // namespace minicpm
