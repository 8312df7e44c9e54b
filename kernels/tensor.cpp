#include "kernels/tensor.h"

#include <string>

#include "kernels/error.h"
#include "kernels/packed.h"
#include "kernels/quantize_rows.h"

namespace minicpm {

namespace {

std::string describe(int64_t rows, int64_t columns, DType dtype) {
  return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "] " + name_of(dtype);
}

}  // namespace

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::i8:
      return "i8";
    case DType::w8:
      return "w8";
    case DType::w6:
      return "w6";
    case DType::w5:
      return "w5";
    case DType::w4:
      return "w4";
    case DType::w2:
      return "w2";
    case DType::a8:
      return "a8";
  }
  return "unknown";
}

size_t Tensor::bytes() const {
  if (is_packed(dtype)) return packed_bytes(dtype, rows, columns, group, scales);
  if (dtype == DType::a8) return quantized_bytes(rows, columns);
  return static_cast<size_t>(rows * columns) * size_of(dtype);
}

void expect(const char* op, const char* name, const Tensor& tensor, int64_t rows, int64_t columns,
            DType dtype) {
  if (tensor.rows != rows || tensor.columns != columns || tensor.dtype != dtype) {
    throw Error(ErrorCode::kShape, std::string(op) + ": " + name + " should be " +
                                       describe(rows, columns, dtype) + ", is " +
                                       describe(tensor.rows, tensor.columns, tensor.dtype));
  }
  if (tensor.data == nullptr && rows * columns > 0) {
    throw Error(ErrorCode::kShape, std::string(op) + ": " + name + " has no data");
  }
}

void expect(const char* op, bool holds, const char* what) {
  if (!holds) throw Error(ErrorCode::kShape, std::string(op) + ": " + what);
}

}  // namespace minicpm
