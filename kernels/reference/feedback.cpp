#include "kernels/reference/ops.h"

namespace minicpm::reference {

void feedback(const Feedback& op) {
  const int64_t in = op.coefficients.columns;
  float* coefficients = op.coefficients.as<float>();
  const double added = op.added();
  const auto h = [&](int64_t i, int64_t j) -> double& { return op.work[i * in + j]; };
  for (int64_t i = 0; i < in; i++) {
    for (int64_t j = 0; j <= i; j++) h(i, j) = coefficients[i * in + j] + (i == j ? added : 0);
  }
  for (int64_t k = in - 1; k >= 0; k--) {
    op.importance.as<float>()[k] = static_cast<float>(h(k, k));
    for (int64_t i = 0; i < k; i++) {
      for (int64_t j = 0; j <= i; j++) h(i, j) -= h(k, i) / h(k, k) * h(k, j);
    }
    for (int64_t j = 0; j < k; j++) {
      coefficients[k * in + j] = static_cast<float>(h(k, j) / h(k, k));
    }
  }
}

}  // namespace minicpm::reference
