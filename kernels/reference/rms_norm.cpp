#include <cmath>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

void rms_norm(const RmsNorm& op) {
  const int64_t hidden = op.x.columns;
  for (int64_t t = 0; t < op.x.rows; t++) {
    const float* x = op.x.as<float>() + t * hidden;
    float* y = op.y.as<float>() + t * hidden;
    double square_sum = 0;
    for (int64_t i = 0; i < hidden; i++) square_sum += double{x[i]} * x[i];
    const double scale = 1 / std::sqrt(square_sum / static_cast<double>(hidden) + op.eps);
    for (int64_t i = 0; i < hidden; i++) {
      y[i] = static_cast<float>(x[i] * scale * op.weight.as<float>()[i]);
    }
  }
}

}  // namespace minicpm::reference
