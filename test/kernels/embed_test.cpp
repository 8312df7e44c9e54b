#include "test/kernels/packed_arrays.h"
#include "test/kernels/test.h"

namespace minicpm::test {

TEST("embed gives the definition's bits on every set, dtype and width") {
  Random random(1);
  for (int hidden : {1, 8, 15, 16, 64, 1024}) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      Array table(50, hidden, dtype), tokens(1, 37, DType::i32), expected(37, hidden);
      table.fill(random, -2, 2);
      tokens.fill_ints(random, 50);
      reference::embed({expected.tensor(), tokens.tensor(), table.tensor(), 12});
      for (const CpuKernels* set : kernel_sets()) {
        for (int threads : {1, 3}) {
          Workers workers(threads);
          Array y(37, hidden);
          set->embed({y.tensor(), tokens.tensor(), table.tensor(), 12}, workers);
          CHECK(same_bits(y.tensor(), expected.tensor()));
        }
      }
    }
  }
}

TEST("embed multiplies by the scale, exactly where that is exact") {
  Array table(2, 2), tokens(1, 1, DType::i32), y(1, 2);
  table.floats()[2] = 0.5f, table.floats()[3] = -3;
  tokens.ints()[0] = 1;
  reference::embed({y.tensor(), tokens.tensor(), table.tensor(), 4});
  CHECK(y.floats()[0] == 2 && y.floats()[1] == -12);
}

TEST("embed reads the rows of a packed table as their weights") {
  Random random(2);
  std::vector<PackedKind> kinds(std::begin(kStoredKinds), std::end(kStoredKinds));
  for (int group : {32, 128}) kinds.push_back({DType::w8, Scales::symmetric, group});
  kinds.push_back({DType::w2, Scales::symmetric, 128});
  for (int hidden : {256, 768}) {
    for (const auto& [format, scales, group] : kinds) {
      PackedArray table(format, group, 50, hidden, scales);
      table.fill(random, 0.01f);
      Array tokens(1, 37, DType::i32), expected(37, hidden);
      tokens.fill_ints(random, 50);
      for (int t = 0; t < 37; t++) {
        const PackedRow row = table.row(tokens.ints()[t]);
        for (int i = 0; i < hidden; i++) expected.floats()[t * hidden + i] = row.weight(i) * 12;
      }
      for (const CpuKernels* set : kernel_sets()) {
        Workers workers(2);
        Array y(37, hidden);
        set->embed({y.tensor(), tokens.tensor(), table.tensor(), 12}, workers);
        CHECK(same_bits(y.tensor(), expected.tensor()));
      }
      Array y(37, hidden);
      reference::embed({y.tensor(), tokens.tensor(), table.tensor(), 12});
      CHECK(same_bits(y.tensor(), expected.tensor()));
    }
  }
}

}  // namespace minicpm::test
