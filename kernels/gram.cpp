#include "kernels/gram.h"

namespace minicpm {

void Gram::check() const {
  expect("gram", "y", y, x.columns, x.columns, DType::f32);
  expect("gram", "x", x, x.rows, x.columns, DType::f32);
}

}  // namespace minicpm
