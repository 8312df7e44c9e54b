#include "kernels/refine.h"

#include "kernels/packed.h"

namespace minicpm {

void Refine::check() const {
  expect_packed("refine", "y", y);
  expect("refine", !has_planes(y.dtype) && y.scales == Scales::symmetric,
         "y should be w8, w4 or w2 with symmetric scales");
  expect("refine", "x", x, y.rows, y.columns, DType::f32);
  expect("refine", "hessian", hessian, y.columns, y.columns, DType::f32);
  expect("refine", passes >= 0, "passes should be 0 or more");
}

}  // namespace minicpm
