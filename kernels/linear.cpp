#include "kernels/linear.h"

namespace minicpm {

void Linear::check() const {
  expect("linear", "y", y, x.rows, weight.rows, DType::f32);
  expect("linear", "x", x, x.rows, weight.columns, DType::f32);
  expect("linear", weight.dtype != DType::i32, "weight should be f32, f16 or bf16, is i32");
  expect("linear", "weight", weight, weight.rows, weight.columns, weight.dtype);
  if (residual.data) expect("linear", "residual", residual, x.rows, weight.rows, DType::f32);
  expect("linear", weight.columns > 0, "weight should have columns");
  expect("linear", y.data != x.data || y.bytes() == 0, "y and x should not be the same memory");
}

}  // namespace minicpm
