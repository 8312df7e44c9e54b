#include "kernels/w4_scale.h"

namespace minicpm {

namespace {

constexpr int kLanes = 16;

/// A number as q, still a float: ties to even, clamped.
inline float rounded(float quotient) {
  constexpr float kShifter = 0x1.8p23f;  // adding it rounds to an integer
  const float least = quotient > -8 ? quotient : -8;
  return ((least < 7 ? least : 7) + kShifter) - kShifter;
}

struct Fit {
  float xq = 0, qq = 0;
};

Fit fit(const float* x, int64_t count, float inverse) {
  float xq[kLanes] = {}, qq[kLanes] = {};
  for (int64_t first = 0; first < count; first += kLanes) {
    for (int i = 0; i < kLanes; i++) {
      const float q = rounded(x[first + i] * inverse);
      const float weight = x[first + i] * x[first + i];
      xq[i] += weight * x[first + i] * q;
      qq[i] += weight * q * q;
    }
  }
  Fit sums;
  for (int i = 0; i < kLanes; i++) {
    sums.xq += xq[i];
    sums.qq += qq[i];
  }
  return sums;
}

}  // namespace

float w4_scale(const float* x, int64_t count, float largest) {
  float best = largest / -8, most = 0;
  for (int step = 0; step <= 10; step++) {
    const auto [xq, qq] = fit(x, count, (6.5f + 0.25f * static_cast<float>(step)) / -largest);
    const float explained = qq > 0 ? xq * (xq / qq) : 0;
    if (explained > most) {
      most = explained;
      best = xq / qq;
    }
  }
  return best;
}

double w4_error(const float* x, int64_t count, float scale) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) {
    const double error = x[i] - scale * rounded(x[i] / scale);
    sum += static_cast<double>(x[i]) * x[i] * error * error;
  }
  return sum;
}

}  // namespace minicpm
