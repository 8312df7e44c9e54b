#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

TEST("log_prob equals the definition within 2e-6, with the same bits on all sets and threads") {
  Random random(1);
  for (int vocabulary : {1, 2, 15, 512, 1025, 73448}) {
    Array logits(3, vocabulary), targets(1, 3, DType::i32), expected(1, 3), first(1, 3);
    logits.fill(random, -15, 15);
    targets.fill_ints(random, vocabulary);
    reference::log_prob({expected.tensor(), logits.tensor(), targets.tensor()});
    for (const CpuKernels* set : kernel_sets()) {
      for (int threads : {1, 2}) {
        Workers workers(threads);
        Array y(1, 3);
        set->log_prob({y.tensor(), logits.tensor(), targets.tensor()}, workers);
        CHECK(worst_error(y.tensor(), expected.tensor(), 1) < 2e-6);
        if (set == kernel_sets()[0] && threads == 1) first = y;
        CHECK(same_bits(y.tensor(), first.tensor()));
      }
    }
  }
}

TEST("log_prob survives logits of any size and tokens that are ruled out") {
  Array logits(2, 40), targets(1, 2, DType::i32);
  for (size_t i = 0; i < 40; i++) {
    logits.set(i, i == 7 ? 1e30f : -1e30f);
    logits.set(40 + i, i == 39 ? 5 : -INFINITY);
  }
  targets.ints()[0] = 7, targets.ints()[1] = 39;
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(1);
    Array y(1, 2);
    set->log_prob({y.tensor(), logits.tensor(), targets.tensor()}, workers);
    CHECK(y.floats()[0] == 0 && y.floats()[1] == 0);
  }
}

}  // namespace minicpm::test
