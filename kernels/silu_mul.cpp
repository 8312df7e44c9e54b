#include "kernels/silu_mul.h"

namespace minicpm {

void SiluMul::check() const {
  expect("silu_mul", "y", y, gate.rows, gate.columns, DType::f32);
  expect("silu_mul", "gate", gate, gate.rows, gate.columns, DType::f32);
  expect("silu_mul", "up", up, gate.rows, gate.columns, DType::f32);
}

}  // namespace minicpm
