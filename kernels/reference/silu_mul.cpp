#include <cmath>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

void silu_mul(const SiluMul& op) {
  for (int64_t i = 0; i < op.y.rows * op.y.columns; i++) {
    const double gate = op.gate.as<float>()[i];
    op.y.as<float>()[i] = static_cast<float>(gate / (1 + std::exp(-gate)) * op.up.as<float>()[i]);
  }
}

}  // namespace minicpm::reference
