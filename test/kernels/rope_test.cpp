#include "test/kernels/tensors.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// cos and sin of angles with a magnitude, as LongRoPE has.
void fill_angles(Array& cosines, Array& sines, Random& random) {
  for (size_t i = 0; i < cosines.size(); i++) {
    const float angle = random.between(0, 30000);
    cosines.set(i, 1.19f * std::cos(angle));
    sines.set(i, 1.19f * std::sin(angle));
  }
}

}  // namespace

TEST("rope equals the definition, with the same bits on all sets and threads") {
  Random random(1);
  for (int head_dim : {2, 8, 24, 64, 80, 128}) {
    for (int heads : {1, 5, 16}) {
      Array x(35, heads * head_dim), cosines(35, head_dim / 2), sines(35, head_dim / 2);
      x.fill(random, -4, 4);
      fill_angles(cosines, sines, random);
      Array expected = x, first = x;
      reference::rope({expected.tensor(), cosines.tensor(), sines.tensor(), head_dim});
      for (const CpuKernels* set : kernel_sets()) {
        for (int threads : {1, 3}) {
          Workers workers(threads);
          Array y = x;
          set->rope({y.tensor(), cosines.tensor(), sines.tensor(), head_dim}, workers);
          CHECK(worst_error(y.tensor(), expected.tensor(), 1) < 1e-6);
          if (set == kernel_sets()[0] && threads == 1) first = y;
          CHECK(same_bits(y.tensor(), first.tensor()));
        }
      }
    }
  }
}

TEST("rope turns the pair (i, i + head_dim / 2) by its angle") {
  Array x(1, 4), cosines(1, 2), sines(1, 2);
  const float row[] = {1, 2, 3, 4};
  for (size_t i = 0; i < 4; i++) x.set(i, row[i]);
  cosines.set(0, 0), cosines.set(1, 1), sines.set(0, 1), sines.set(1, 0);
  reference::rope({x.tensor(), cosines.tensor(), sines.tensor(), 4});
  CHECK(x.floats()[0] == -3 && x.floats()[2] == 1 && x.floats()[1] == 2 && x.floats()[3] == 4);
}

}  // namespace minicpm::test
