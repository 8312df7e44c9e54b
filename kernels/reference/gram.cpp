#include "kernels/reference/ops.h"

namespace minicpm::reference {

void gram(const Gram& op) {
  const int64_t in = op.x.columns;
  const float* x = op.x.as<float>();
  for (int64_t i = 0; i < in; i++) {
    for (int64_t j = 0; j <= i; j++) {
      double sum = op.y.as<float>()[i * in + j];
      for (int64_t t = 0; t < op.x.rows; t++) sum += double{x[t * in + i]} * x[t * in + j];
      op.y.as<float>()[i * in + j] = static_cast<float>(sum);
    }
  }
}

}  // namespace minicpm::reference
