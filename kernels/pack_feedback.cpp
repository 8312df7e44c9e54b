#include "kernels/pack_feedback.h"

#include "kernels/packed.h"

namespace minicpm {

void PackFeedback::check() const {
  expect_packed("pack_feedback", "y", y);
  expect("pack_feedback", !has_planes(y.dtype) && y.scales == Scales::symmetric,
         "y should be w8, w4 or w2 with symmetric scales");
  expect("pack_feedback", "x", x, y.rows, y.columns, DType::f32);
  expect("pack_feedback", "order", order, 1, y.columns, DType::i32);
  expect("pack_feedback", "coefficients", coefficients, y.columns, y.columns, DType::f32);
  expect("pack_feedback", "importance", importance, 1, y.columns, DType::f32);
}

}  // namespace minicpm
