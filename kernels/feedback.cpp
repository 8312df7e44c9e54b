#include "kernels/feedback.h"

namespace minicpm {

void Feedback::check() const {
  const int64_t in = coefficients.columns;
  expect("feedback", "coefficients", coefficients, in, in, DType::f32);
  expect("feedback", "importance", importance, 1, in, DType::f32);
  expect("feedback", in % 32 == 0, "columns should be a multiple of 32");
  expect("feedback", damping > 0, "damping should be above 0");
}

double Feedback::added() const {
  const int64_t in = coefficients.columns;
  double sum = 0;
  for (int64_t i = 0; i < in; i++) sum += coefficients.as<float>()[i * in + i];
  return sum > 0 ? damping * sum / static_cast<double>(in) : 1;
}

}  // namespace minicpm
