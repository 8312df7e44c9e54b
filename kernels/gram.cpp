#include "kernels/gram.h"

#include <cmath>
#include <span>

namespace minicpm {

void Gram::check() const {
  expect("gram", "y", y, x.columns, x.columns, DType::f32);
  expect("gram", "x", x, x.rows, x.columns, DType::f32);
}

void even_out(const Tensor& x) {
  for (int64_t t = 0; t < x.rows; ++t) {
    const std::span row(x.as<float>() + t * x.columns, static_cast<size_t>(x.columns));
    double square = 0;
    for (const float each : row) square += double{each} * each;
    if (square == 0) continue;
    const auto scale = static_cast<float>(std::sqrt(static_cast<double>(x.columns) / square));
    for (float& each : row) each *= scale;
  }
}

}  // namespace minicpm
