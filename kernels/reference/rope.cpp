#include "kernels/reference/ops.h"

namespace minicpm::reference {

void rope(const Rope& op) {
  const int half = op.head_dim / 2;
  for (int64_t t = 0; t < op.x.rows; t++) {
    const float* cos = op.cos.as<float>() + t * half;
    const float* sin = op.sin.as<float>() + t * half;
    for (int64_t head = 0; head < op.x.columns; head += op.head_dim) {
      float* x = op.x.as<float>() + t * op.x.columns + head;
      for (int i = 0; i < half; i++) {
        const double low = x[i], high = x[i + half];
        x[i] = static_cast<float>(low * cos[i] - high * sin[i]);
        x[i + half] = static_cast<float>(high * cos[i] + low * sin[i]);
      }
    }
  }
}

}  // namespace minicpm::reference
