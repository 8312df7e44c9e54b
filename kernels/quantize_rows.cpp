#include "kernels/quantize_rows.h"

namespace minicpm {

void QuantizeRows::check() const {
  expect("quantize_rows", "y", y, x.rows, x.columns, DType::a8);
  expect("quantize_rows", "x", x, x.rows, x.columns, DType::f32);
  expect("quantize_rows", x.columns % kQuantizedGroup == 0, "columns should be a multiple of 32");
  if (up.data) expect("quantize_rows", "up", up, x.rows, x.columns, DType::f32);
}

}  // namespace minicpm
