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

  unsigned char* data() {
    const auto at = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (64 - at % 64) % 64;
  }
  size_t size() const { return size_; }

 private:
  std::vector<unsigned char> memory_;
  size_t size_;
};

/// Weights of `format`: all zeros until packed or set.
class PackedArray {
 public:
  PackedArray(DType format, int group, int64_t rows, int64_t columns)
      : bytes_(packed_bytes(format, rows, columns, group)),
        format_(format),
        group_(group),
        rows_(rows),
        columns_(columns) {
    for (int64_t row = 0; row < packed_tiles(rows) * kPackedRows; row++) {
      for (int64_t column = 0; column < columns; column++) set(row, column, 0);
    }
  }
  PackedArray(DType format, int group, Array& weights)
      : PackedArray(format, group, weights.tensor().rows, weights.tensor().columns) {
    reference::pack({tensor(), weights.tensor()});
  }

  Tensor tensor() { return {bytes_.data(), format_, rows_, columns_, group_}; }
  PackedRow row(int64_t row) { return PackedRow(tensor(), row); }
  AlignedBytes& bytes() { return bytes_; }

  void set(int64_t row, int64_t column, int q) {
    const int bits = packed_bits(format_), steps = 8 / bits;
    const int64_t step = column / 4;
    unsigned char& byte = tile(
        row)[packed_scale_bytes(columns_, group_) + step / steps * 64 + row % 16 * 4 + column % 4];
    const int shift = static_cast<int>(step % steps) * bits, mask = ((1 << bits) - 1) << shift;
    byte = static_cast<unsigned char>((byte & ~mask) | (q + packed_zero(format_)) << shift);
  }
  void set_scale(int64_t row, int64_t group, uint16_t half) {
    std::memcpy(tile(row) + 2 * (group * 16 + row % 16), &half, 2);
  }

  /// Any integers of the format, scales around `scale`.
  PackedArray& fill(Random& random, float scale) {
    const int zero = packed_zero(format_);
    const int most = format_ == DType::w8 ? 255 : 2 * zero + (format_ == DType::w2);
    for (int64_t row = 0; row < rows_; row++) {
      for (int64_t column = 0; column < columns_; column++) {
        set(row, column, random.below(most) - (format_ == DType::w8 ? 127 : zero));
      }
      for (int64_t group = 0; group < packed_groups(columns_, group_); group++) {
        set_scale(row, group, f32_to_f16(scale * random.between(0.5f, 2)));
      }
    }
    return *this;
  }

 private:
  unsigned char* tile(int64_t row) {
    return bytes_.data() + row / 16 * packed_tile_bytes(format_, columns_, group_);
  }

  AlignedBytes bytes_;
  DType format_;
  int group_;
  int64_t rows_, columns_;
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

constexpr DType kPackedFormats[] = {DType::w8, DType::w4, DType::w2};

}  // namespace minicpm::test
