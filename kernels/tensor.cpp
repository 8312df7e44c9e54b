#include "kernels/tensor.h"

#include <string>

#include "kernels/error.h"

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
  }
  return "unknown";
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
