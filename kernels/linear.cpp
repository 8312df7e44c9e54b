#include "kernels/linear.h"

#include "kernels/packed.h"

namespace minicpm {

void Linear::check() const {
  const bool rounded = x.dtype == DType::a8;
  expect("linear", "y", y, x.rows, weight.rows, DType::f32);
  expect("linear", "x", x, x.rows, weight.columns, rounded ? DType::a8 : DType::f32);
  if (is_packed(weight.dtype)) {
    expect_packed("linear", "weight", weight);
  } else {
    expect("linear", size_of(weight.dtype) > 0 && weight.dtype != DType::i32,
           "weight should be f32, f16, bf16 or packed");
    expect("linear", !rounded, "x should be f32 with float weights");
    expect("linear", "weight", weight, weight.rows, weight.columns, weight.dtype);
  }
  if (residual.data) expect("linear", "residual", residual, x.rows, weight.rows, DType::f32);
  expect("linear", weight.columns > 0, "weight should have columns");
  expect("linear", y.data != x.data || y.bytes() == 0, "y and x should not be the same memory");
}

void Linears::check() const {
  expect("linears", count >= 1 && count <= 3, "there should be 1 to 3");
  for (int i = 0; i < count; i++) {
    parts[i].check();
    expect("linears", parts[i].x.data == parts[0].x.data && parts[i].x.dtype == parts[0].x.dtype,
           "all should have the same x");
  }
}

}  // namespace minicpm
