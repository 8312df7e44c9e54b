#include <vector>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

void linear(const Linear& op) {
  const int64_t in = op.x.columns, out = op.weight.rows;
  std::vector<double> weight(static_cast<size_t>(in));
  for (int64_t n = 0; n < out; n++) {
    for (int64_t k = 0; k < in; k++) {
      weight[static_cast<size_t>(k)] =
          element(op.weight.data, op.weight.dtype, static_cast<size_t>(n * in + k));
    }
    for (int64_t t = 0; t < op.x.rows; t++) {
      const float* x = op.x.as<float>() + t * in;
      double sum = 0;
      for (int64_t k = 0; k < in; k++) sum += weight[static_cast<size_t>(k)] * x[k];
      const double residual = op.residual.data ? op.residual.as<float>()[t * out + n] : 0;
      op.y.as<float>()[t * out + n] = static_cast<float>(residual + op.scale * sum);
    }
  }
}

}  // namespace minicpm::reference
