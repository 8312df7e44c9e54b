#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

constexpr double kTolerance = 1e-6;

TEST("silu_mul equals the definition, with the same bits on all sets and threads") {
  Random random(1);
  for (int columns : {1, 15, 16, 172, 4096}) {
    Array gate(9, columns), up(9, columns), expected(9, columns), first(9, columns);
    gate.fill(random, -20, 20);
    up.fill(random, -2, 2);
    reference::silu_mul({expected.tensor(), gate.tensor(), up.tensor()});
    for (const CpuKernels* set : kernel_sets()) {
      for (int threads : {1, 2, 3}) {
        Workers workers(threads);
        Array y = gate;
        set->silu_mul({y.tensor(), y.tensor(), up.tensor()}, workers);
        CHECK(worst_error(y.tensor(), expected.tensor(), 1e-9) < kTolerance);
        if (set == kernel_sets()[0] && threads == 1) first = y;
        CHECK(same_bits(y.tensor(), first.tensor()));
      }
    }
  }
}

TEST("silu_mul follows the definition over the whole range of the exponential") {
  constexpr int kSteps = 400001;
  Array gate(1, kSteps), up(1, kSteps), expected(1, kSteps);
  for (int i = 0; i < kSteps; i++) {
    gate.set(static_cast<size_t>(i), -100 + static_cast<float>(i) * 0.0005f);
    up.set(static_cast<size_t>(i), 1);
  }
  reference::silu_mul({expected.tensor(), gate.tensor(), up.tensor()});
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(2);
    Array y(1, kSteps);
    set->silu_mul({y.tensor(), gate.tensor(), up.tensor()}, workers);
    // Below -88.7 the exponential is infinity and the result 0, where the definition says -3e-37.
    CHECK(worst_error(y.tensor(), expected.tensor(), 1e-30) < kTolerance);
  }
}

TEST("silu_mul takes zeros, infinities, subnormal and huge gates as the definition does") {
  const float gates[] = {0.0f, -0.0f, INFINITY, 1e-42f, -1e-42f, 3e38f, -3e38f, 89, -89, NAN};
  Array gate(1, 10), up(1, 10), expected(1, 10);
  for (size_t i = 0; i < 10; i++) gate.set(i, gates[i]), up.set(i, 0.5f);
  reference::silu_mul({expected.tensor(), gate.tensor(), up.tensor()});
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(1);
    Array y(1, 10);
    set->silu_mul({y.tensor(), gate.tensor(), up.tensor()}, workers);
    CHECK(worst_error(y.tensor(), expected.tensor(), 1e-30) < kTolerance);
    CHECK(std::isnan(y.floats()[9]));
  }
}

}  // namespace minicpm::test
