// Packed weights and rounded activations that own their memory.
#pragma once

#include <vector>

#include "kernels/pack.h"
#include "kernels/packed.h"
#include "test/kernels/tensors.h"

namespace minicpm::test {

/// Bytes at a multiple of 64.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size) : memory_(size + 64), size_(size) {}
  AlignedBytes(const AlignedBytes& other) : AlignedBytes(other.size_) {
    std::memcpy(data(), other.data(), size_);
  }

  unsigned char* data() { return memory_.data() + offset(); }
  const unsigned char* data() const { return memory_.data() + offset(); }
  size_t size() const { return size_; }

 private:
  size_t offset() const { return (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64; }

  std::vector<unsigned char> memory_;
  size_t size_;
};

/// Weights of `format`: all zeros until packed or set.
class PackedArray {
 public:
  PackedArray(DType format, int group, int64_t rows, int64_t columns,
              Scales scales = Scales::symmetric)
      : bytes_(packed_bytes(format, rows, columns, group, scales)),
        format_(format),
        group_(group),
        rows_(rows),
        columns_(columns),
        scales_(scales) {
    for (int64_t row = 0; row < packed_tiles(rows) * kPackedRows; row++) {
      for (int64_t column = 0; column < columns; column++) set(row, column, 0);
    }
  }
  PackedArray(DType format, int group, Array& weights)
      : PackedArray(format, group, weights.tensor().rows, weights.tensor().columns) {
    reference::pack({tensor(), weights.tensor()});
  }

  Tensor tensor() { return {bytes_.data(), format_, rows_, columns_, group_, scales_}; }
  PackedRow row(int64_t row) { return PackedRow(tensor(), row); }
  AlignedBytes& bytes() { return bytes_; }

  void set(int64_t row, int64_t column, int q) {
    const int u = q + packed_zero(format_, scales_);
    if (!has_planes(format_)) return set_bits(row, column, packed_bits(format_), 0, u);
    set_bits(row, column, 4, 0, u & 15);
    set_bits(row, column, packed_bits(format_) - 4, 4 * 64, u >> 4);
  }
  /// Entry `index` of the row's scales: of a group, or of 256 columns.
  void set_scale(int64_t row, int64_t index, uint16_t half) {
    std::memcpy(tile(row) + 2 * (index * 16 + row % 16), &half, 2);
  }
  void set_minimum(int64_t row, int64_t index, uint16_t half) {
    set_scale(row, scale_entries() + index, half);
  }
  /// The group's step, or its zero point.
  void set_step(int64_t row, int64_t group, int step) {
    const int64_t entries = scale_entries() * (scales_ == Scales::two_level_minimum ? 2 : 1);
    tile(row)[entries * 32 + group * 16 + row % 16] = static_cast<unsigned char>(step);
  }
  void set_minimum_step(int64_t row, int64_t group, int step) {
    set_step(row, packed_groups(columns_, group_) + group, step);
  }

  /// Any integers of the format, scales around `scale`, minimums that keep sums around 0.
  PackedArray& fill(Random& random, float scale) {
    const int bits = packed_bits(format_), zero = packed_zero(format_, scales_);
    const bool levels = has_two_levels(scales_);
    for (int64_t row = 0; row < rows_; row++) {
      for (int64_t column = 0; column < columns_; column++) {
        const int u = random.below(format_ == DType::w2 ? 3 : 1 << bits);
        set(row, column, u - zero);
      }
      const float unit = levels ? scale / 32 : scale;
      const auto around = [&](float middle) {
        return f32_to_f16(middle * random.between(0.5f, 2));
      };
      for (int64_t i = 0; i < scale_entries(); i++) {
        set_scale(row, i, around(unit));
        if (scales_ == Scales::minimum) set_minimum(row, i, around(unit * 8));
        if (scales_ == Scales::two_level_minimum) set_minimum(row, i, around(unit * 6));
      }
      for (int64_t group = 0; group < packed_groups(columns_, group_); group++) {
        if (scales_ == Scales::zero_point) set_step(row, group, random.below(1 << bits) - zero);
        if (scales_ == Scales::two_level) set_step(row, group, random.below(256) - 128);
        if (scales_ == Scales::two_level_minimum) {
          set_step(row, group, random.below(64));
          set_minimum_step(row, group, random.below(64));
        }
      }
    }
    return *this;
  }

 private:
  unsigned char* tile(int64_t row) {
    return bytes_.data() + row / 16 * packed_tile_bytes(format_, columns_, group_, scales_);
  }
  int64_t scale_entries() const {
    return has_two_levels(scales_) ? columns_ / 256 : packed_groups(columns_, group_);
  }
  /// Bits of a column in lines that hold 8 / bits steps, the first of them `first` bytes behind the
  /// start of its 32 columns.
  void set_bits(int64_t row, int64_t column, int bits, int64_t first, int value) {
    const int64_t step = column % 32 / 4, steps = 8 / bits;
    const int64_t block =
        packed_scale_bytes(columns_, group_, scales_) + column / 32 * 64 * packed_bits(format_);
    unsigned char& byte = tile(row)[block + first + step / steps * 64 + row % 16 * 4 + column % 4];
    const int shift = static_cast<int>(step % steps) * bits, mask = ((1 << bits) - 1) << shift;
    byte = static_cast<unsigned char>((byte & ~mask) | value << shift);
  }

  AlignedBytes bytes_;
  DType format_;
  int group_;
  int64_t rows_, columns_;
  Scales scales_;
};

/// Rows rounded by the definition.
class QuantizedArray {
 public:
  QuantizedArray(int64_t rows, int64_t columns)
      : bytes_(quantized_bytes(rows, columns)), rows_(rows), columns_(columns) {}
  explicit QuantizedArray(Array& x) : QuantizedArray(x.tensor().rows, x.tensor().columns) {
    reference::quantize_rows({tensor(), x.tensor(), {}});
  }

  Tensor tensor() { return {bytes_.data(), DType::a8, rows_, columns_}; }

 private:
  AlignedBytes bytes_;
  int64_t rows_, columns_;
};

/// Those that weights are rounded to.
constexpr DType kPackedFormats[] = {DType::w8, DType::w4, DType::w2};

struct PackedKind {
  DType format;
  Scales scales;
  int group;
};

/// Those that files have beside them.
constexpr PackedKind kStoredKinds[] = {
    {DType::w6, Scales::two_level, 16},         {DType::w5, Scales::symmetric, 32},
    {DType::w5, Scales::minimum, 32},           {DType::w5, Scales::two_level_minimum, 32},
    {DType::w4, Scales::minimum, 32},           {DType::w4, Scales::zero_point, 128},
    {DType::w4, Scales::two_level_minimum, 32}, {DType::w8, Scales::zero_point, 64},
};

}  // namespace minicpm::test
