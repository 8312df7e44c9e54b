// Tensor: a view of rows x columns numbers somewhere in memory. It never owns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace minicpm {

/// How one element (or, for packed weights to come, one tile) is stored.
enum class DType : uint8_t { f32, f16, bf16, i32 };

constexpr size_t size_of(DType dtype) {
  return dtype == DType::f32 || dtype == DType::i32 ? 4 : 2;
}

const char* name_of(DType dtype);

/// Row-major, dense: element (r, c) is at r * columns + c. Rank-1 tensors have one row.
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  int64_t rows = 0;
  int64_t columns = 0;

  size_t bytes() const { return static_cast<size_t>(rows * columns) * size_of(dtype); }

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }

  /// Rows [first, first + count) of this tensor.
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
