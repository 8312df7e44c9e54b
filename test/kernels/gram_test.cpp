#include "kernels/gram.h"

#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

TEST("gram adds products of columns below the diagonal, and leaves the upper half") {
  Array x(2, 2), y(2, 2);
  const float numbers[] = {1, 2, 3, 5};
  std::memcpy(x.floats(), numbers, sizeof numbers);
  for (size_t i = 0; i < 4; i++) y.floats()[i] = 100;
  reference::gram({y.tensor(), x.tensor()});
  CHECK(y.floats()[0] == 110 && y.floats()[2] == 117 && y.floats()[3] == 129);
  CHECK(y.floats()[1] == 100);
}

TEST("gram equals the definition on all sets, with the same bits whatever the threads") {
  Random random(1);
  for (int columns : {1, 63, 96, 200, 576}) {
    for (int tokens : {1, 5, 512}) {
      Array x(tokens, columns), start(columns, columns), expected(columns, columns);
      x.fill(random, -1, 1);
      start.fill(random, -1, 1);
      expected = start;
      reference::gram({expected.tensor(), x.tensor()});
      for (const CpuKernels* set : kernel_sets()) {
        Array first = start;
        for (int threads : {1, 3}) {
          Workers workers(threads);
          Array y = start;
          set->gram({y.tensor(), x.tensor()}, workers);
          CHECK(worst_error(y.tensor(), expected.tensor(), tokens) < 1e-6);
          if (threads == 1) first = y;
          CHECK(same_bits(y.tensor(), first.tensor()));
        }
      }
    }
  }
}

}  // namespace minicpm::test
