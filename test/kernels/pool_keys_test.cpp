#include "test/kernels/kv_blocks.h"
#include "test/kernels/test.h"

namespace minicpm::test {

namespace {

/// Pooled key `window` (counted as InfLLM v2 does) of a head, dimension `dim`.
float fine(const KvBlocks& blocks, const KvLayout& layout, int layer, int head, int window,
           int dim) {
  const Segment segment{.blocks = blocks.blocks()};
  return reference::pooled_element(layout, segment, (window + 1) / kBlockWindows, layer, head,
                                   (window + 1) % kBlockWindows, dim);
}

float coarse(const KvBlocks& blocks, const KvLayout& layout, int layer, int head, int window,
             int dim) {
  const Segment segment{.blocks = blocks.blocks()};
  return reference::pooled_element(layout, segment, window + 1, layer, head, kCoarseWindow, dim);
}

}  // namespace

TEST("pooled keys are the means of 32 and of 128 keys, 16 and 64 apart") {
  const KvLayout layout{DType::f32, 2, 2, 8, true};
  KvBlocks blocks(layout, 200);
  Array k(200, 16), v(200, 16);
  for (size_t i = 0; i < k.size(); i++)
    k.set(i, static_cast<float>(i / 16) + (i % 16 == 11 ? 0.5f : 0));
  blocks.append(k, v, 1, 0);
  for (int j = 0; j < 11; j++) {
    const float middle = static_cast<float>(16 * j) + 15.5f;
    CHECK(fine(blocks, layout, 1, 0, j, 3) == middle);
    CHECK(fine(blocks, layout, 1, 1, j, 3) == middle + 0.5f);
  }
  CHECK(fine(blocks, layout, 1, 0, 11, 3) == 0);  // would end at 208
  CHECK(fine(blocks, layout, 0, 0, 3, 3) == 0);
  CHECK(coarse(blocks, layout, 1, 0, 0, 3) == 63.5f);
  CHECK(coarse(blocks, layout, 1, 0, 1, 3) == 127.5f);
}

TEST("pool_keys equals the definition in any chunks, with the same bits on all sets") {
  Random random(1);
  for (DType dtype : {DType::f32, DType::f16, DType::i8}) {
    for (const auto& [head_dim, length] : {std::pair{8, 31}, {8, 33}, {40, 130}, {64, 300}}) {
      if (dtype == DType::i8 && head_dim % 32 != 0) continue;
      const KvLayout layout{dtype, 1, 3, head_dim, true};
      Array k(length, 3 * head_dim), v(length, 3 * head_dim);
      k.fill(random, -2, 2);
      v.fill(random, -1, 1);
      KvBlocks expected(layout, length), first(layout, length);
      expected.append(k, v, 0, 0);
      for (const CpuKernels* set : kernel_sets()) {
        for (const int chunk : {1, 7, 64, length}) {
          Workers workers(2);
          KvBlocks blocks(layout, length);
          for (int at = 0; at < length; at += chunk) {
            const int count = std::min(chunk, length - at);
            const Segment segment{0, count, at, blocks.blocks()};
            set->kv_append({k.tensor().slice(at, count),
                            v.tensor().slice(at, count),
                            {&segment, 1},
                            layout,
                            0},
                           workers);
            set->pool_keys({{&segment, 1}, layout, 0}, workers);
          }
          double worst = 0;
          for (int j = 0; j < fine_windows(length - 1); j++) {
            for (int d = 0; d < head_dim; d++) {
              worst = std::max<double>(worst, std::fabs(fine(blocks, layout, 0, 2, j, d) -
                                                        fine(expected, layout, 0, 2, j, d)));
            }
          }
          for (int j = 0; j < coarse_windows(length - 1); j++) {
            for (int d = 0; d < head_dim; d++) {
              worst = std::max<double>(worst, std::fabs(coarse(blocks, layout, 0, 1, j, d) -
                                                        coarse(expected, layout, 0, 1, j, d)));
            }
          }
          // Rounded from sums in another order: one step of the type at most.
          CHECK(worst <= (dtype == DType::f32 ? 1e-6 : dtype == DType::f16 ? 1e-3 : 2.0 / 127));
          if (set == kernel_sets()[0] && chunk == 1) {
            std::memcpy(first.tensor().data, blocks.tensor().data, blocks.bytes());
          }
          CHECK(same_bits(blocks.tensor(), first.tensor()));
        }
      }
    }
  }
}

TEST("pooled keys need room in the layout") {
  const KvLayout layout{DType::f32, 1, 1, 8};
  CHECK_THROWS(ErrorCode::kShape, (PoolKeys{{}, layout, 0}.check()));
}

}  // namespace minicpm::test
