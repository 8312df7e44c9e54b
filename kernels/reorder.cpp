#include "kernels/reorder.h"

namespace minicpm {

void ReorderColumns::check() const {
  expect("reorder", "y", y, x.rows, x.columns, DType::f32);
  expect("reorder", "x", x, x.rows, x.columns, DType::f32);
  expect("reorder", "order", order, 1, x.columns, DType::i32);
  expect("reorder", y.data != x.data || y.bytes() == 0, "y and x should not be the same memory");
}

void reorder_rows(const ReorderColumns& op, int64_t first, int64_t last) {
  const int64_t columns = op.x.columns;
  const auto* order = op.order.as<int32_t>();
  for (int64_t t = first; t < last; t++) {
    const float* x = op.x.as<float>() + t * columns;
    float* y = op.y.as<float>() + t * columns;
    for (int64_t i = 0; i < columns; i++) y[i] = x[order[i]];
  }
}

}  // namespace minicpm
