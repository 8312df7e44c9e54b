#include "kernels/rms_norm.h"

namespace minicpm {

void RmsNorm::check() const {
  expect("rms_norm", "y", y, x.rows, x.columns, DType::f32);
  expect("rms_norm", "x", x, x.rows, x.columns, DType::f32);
  expect("rms_norm", "weight", weight, 1, x.columns, DType::f32);
}

}  // namespace minicpm
