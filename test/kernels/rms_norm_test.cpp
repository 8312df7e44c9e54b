#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

constexpr double kTolerance = 1e-6;

TEST(
    "rms_norm equals the definition, with the same bits on all sets, in place and on any threads") {
  Random random(1);
  for (int hidden : {1, 8, 17, 63, 64, 65, 172, 576, 1024, 4096}) {
    Array x(33, hidden), weight(1, hidden), expected(33, hidden), first(33, hidden);
    x.fill(random, -3, 3);
    weight.fill(random, 0.5f, 2);
    reference::rms_norm({expected.tensor(), x.tensor(), weight.tensor(), 1e-5f});
    for (const CpuKernels* set : kernel_sets()) {
      for (int threads : {1, 2}) {
        Workers workers(threads);
        Array y = x;
        set->rms_norm({y.tensor(), y.tensor(), weight.tensor(), 1e-5f}, workers);
        CHECK(worst_error(y.tensor(), expected.tensor(), 1e-3) < kTolerance);
        if (set == kernel_sets()[0] && threads == 1) first = y;
        CHECK(same_bits(y.tensor(), first.tensor()));
      }
    }
  }
}

TEST("rms_norm of a zero row is zero, of tiny numbers is ruled by eps, of huge ones is finite") {
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(1);
    for (float value : {0.0f, 1e-20f, 1e18f, -1e18f}) {
      Array x(1, 24), weight(1, 24), expected(1, 24), y(1, 24);
      for (size_t i = 0; i < 24; i++) x.set(i, value), weight.set(i, 1);
      reference::rms_norm({expected.tensor(), x.tensor(), weight.tensor(), 1e-5f});
      set->rms_norm({y.tensor(), x.tensor(), weight.tensor(), 1e-5f}, workers);
      CHECK(worst_error(y.tensor(), expected.tensor(), 1e-30) < kTolerance);
    }
  }
}

}  // namespace minicpm::test
