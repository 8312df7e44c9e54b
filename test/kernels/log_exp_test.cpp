#include "kernels/log_exp.h"

#include <cmath>

#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

constexpr double kTolerance = 4.5e-16;  // two units of the last place

TEST("natural_log is the logarithm from 2^-60 to 2^60 and near 1") {
  Random random(1);
  for (int i = 0; i < 100000; i++) {
    const double x = std::exp2(random.between(-60, 60)) * (1 + random.between(0, 1e-7f));
    const double near_one = 1 + random.between(-1e-3f, 1e-3f);
    CHECK(std::abs(natural_log(x) - std::log(x)) <= kTolerance * std::abs(std::log(x)));
    CHECK(std::abs(natural_log(near_one) - std::log(near_one)) <=
          kTolerance * std::abs(std::log(near_one)));
  }
  CHECK(natural_log(1) == 0);
}

TEST("natural_exp is the exponential, 1 at 0, next to nothing far below") {
  Random random(2);
  for (int i = 0; i < 100000; i++) {
    const double x = random.between(-690, 60);
    CHECK(std::abs(natural_exp(x) - std::exp(x)) <= kTolerance * std::exp(x));
  }
  CHECK(natural_exp(0) == 1 && natural_exp(-800) < 1e-300 && natural_exp(-INFINITY) < 1e-300);
  CHECK(std::isnan(natural_exp(NAN)));
}

}  // namespace minicpm::test
