#include "test/kernels/kv_blocks.h"
#include "test/kernels/test.h"

namespace minicpm::test {

TEST("kv_append writes the definition's bytes and no others, on every set, dtype and head size") {
  Random random(1);
  for (DType dtype : {DType::f32, DType::f16, DType::i8}) {
    for (int head_dim : {8, 24, 64, 128}) {
      if (dtype == DType::i8 && head_dim % 32 != 0) continue;
      const KvLayout layout{dtype, 2, 3, head_dim};
      Array k(150, 3 * head_dim), v(150, 3 * head_dim);
      k.fill(random, -9, 9);
      v.fill(random, -1e-4f, 1e-4f);  // subnormal in f16, some of them
      KvBlocks expected(layout, 200);
      expected.append(k, v, 1, 37);
      for (const CpuKernels* set : kernel_sets()) {
        for (int threads : {1, 3}) {
          Workers workers(threads);
          KvBlocks blocks(layout, 200);
          const Segment segment{0, 150, 37, blocks.blocks()};
          set->kv_append({k.tensor(), v.tensor(), {&segment, 1}, layout, 1}, workers);
          CHECK(same_bits(blocks.tensor(), expected.tensor()));
        }
      }
    }
  }
}

TEST("kv_append puts each segment's rows into its own sequence") {
  Random random(2);
  const KvLayout layout{DType::f16, 1, 1, 16};
  Array k(5, 16), v(5, 16);
  k.fill(random, -1, 1), v.fill(random, -1, 1);
  const auto append = [&](auto kernel) {
    KvBlocks a(layout, 70), b(layout, 70);
    const Segment segments[] = {{0, 2, 63, a.blocks()}, {2, 3, 0, b.blocks()}};
    kernel(KvAppend{k.tensor(), v.tensor(), segments, layout, 0});
    const auto* in_a = reinterpret_cast<const uint16_t*>(a.blocks()[1]);
    const auto* in_b = reinterpret_cast<const uint16_t*>(b.blocks()[0] + layout.v_offset(0, 0));
    CHECK(in_a[layout.k_index(0, 5)] == f32_to_f16(k.floats()[16 + 5]));
    CHECK(in_b[layout.v_index(2, 7)] == f32_to_f16(v.floats()[4 * 16 + 7]));
    CHECK(in_b[layout.v_index(3, 7)] == 0);
  };
  append(reference::kv_append);
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(1);
    append([&](const KvAppend& op) { set->kv_append(op, workers); });
  }
}

}  // namespace minicpm::test
