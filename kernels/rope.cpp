#include "kernels/rope.h"

namespace minicpm {

void Rope::check() const {
  expect("rope", head_dim > 0 && head_dim % 2 == 0, "head_dim should be positive and even");
  expect("rope", x.columns % head_dim == 0, "x should have a multiple of head_dim columns");
  expect("rope", "x", x, x.rows, x.columns, DType::f32);
  expect("rope", "cos", cos, x.rows, head_dim / 2, DType::f32);
  expect("rope", "sin", sin, x.rows, head_dim / 2, DType::f32);
}

}  // namespace minicpm
