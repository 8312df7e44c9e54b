// Tensor: a view of rows x columns numbers somewhere in memory. It never owns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace minicpm {

/// How numbers are stored: one by one, or as kernels/packed.h (w8 to w2: weights) and
/// kernels/quantize_rows.h (a8: activations) lay them out in blocks.
enum class DType : uint8_t { f32, f16, bf16, i32, i8, w8, w6, w5, w4, w2, a8 };

/// What turns the integers of packed weights into numbers (kernels/packed.h).
enum class Scales : uint8_t { symmetric, minimum, zero_point, two_level, two_level_minimum };

/// Weights in packed tiles.
constexpr bool is_packed(DType dtype) {
  return dtype >= DType::w8 && dtype <= DType::w2;
}

/// Bytes of one number; 0 where numbers lie in blocks.
constexpr size_t size_of(DType dtype) {
  return dtype == DType::f32 || dtype == DType::i32    ? 4
         : dtype == DType::f16 || dtype == DType::bf16 ? 2
         : dtype == DType::i8                          ? 1
                                                       : 0;
}

const char* name_of(DType dtype);

/// Row-major, dense: element (r, c) is at r * columns + c, where numbers do not lie in blocks.
/// Rank-1 tensors have one row.
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  int64_t rows = 0;
  int64_t columns = 0;
  int group = 0;                      // columns of packed weights that share a scale
  Scales scales = Scales::symmetric;  // of packed weights

  size_t bytes() const;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }

  /// Rows [first, first + count) of this tensor, whose numbers do not lie in blocks.
  Tensor slice(int64_t first, int64_t count) const {
    return {static_cast<std::byte*>(data) + static_cast<size_t>(first * columns) * size_of(dtype),
            dtype, count, columns};
  }
};

/// Throws Error{kShape} unless `tensor` is rows x columns of `dtype`; `op` and `name` go into the
/// message.
void expect(const char* op, const char* name, const Tensor& tensor, int64_t rows, int64_t columns,
            DType dtype);

/// Throws Error{kShape} "op: what" unless `holds`.
void expect(const char* op, bool holds, const char* what);

}  // namespace minicpm
