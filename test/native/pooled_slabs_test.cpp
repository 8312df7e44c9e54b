#include "native/engine/pooled_slabs.h"

#include <algorithm>
#include <cstring>

#include "native/engine/kv_cache.h"
#include "test/kernels/kv_blocks.h"
#include "test/kernels/test.h"

namespace minicpm::test {
namespace {

KvLayout layout_of(DType dtype, int layers = 5) {
  return {dtype, layers, 2, 32, true, kSlabBlocks};
}

std::vector<std::byte> pattern(const KvLayout& layout, int seed) {
  std::vector<std::byte> bytes(layout.pooled_bytes());
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i * 31 + static_cast<size_t>(seed));
  }
  return bytes;
}

}  // namespace

TEST("pooled keys of blocks that are taken one after the other are neighbours, row by row") {
  const KvLayout layout = layout_of(DType::i8);
  const int64_t before = buffer_bytes();
  PooledSlabs slabs(layout);
  std::vector<std::byte*> places;
  std::vector<std::byte> bytes(layout.pooled_bytes());
  for (int i = 0; i < 130; ++i) {
    places.push_back(slabs.take());
    slabs.write(places.back(), pattern(layout, i).data());
    if (i % kSlabBlocks == 0) continue;
    CHECK(places[static_cast<size_t>(i)] - places[static_cast<size_t>(i - 1)] ==
          static_cast<std::ptrdiff_t>(layout.pooled_row_bytes()));
  }
  for (int i = 0; i < 130; ++i) {
    slabs.read(places[static_cast<size_t>(i)], bytes.data());
    CHECK(bytes == pattern(layout, i));
  }

  slabs.give(places[70]);
  slabs.give(places[5]);
  CHECK(slabs.take() == places[5]);
  slabs.read(places[5], bytes.data());
  CHECK(std::ranges::all_of(bytes, [](std::byte one) { return one == std::byte{0}; }));
  slabs.read(places[6], bytes.data());
  CHECK(bytes == pattern(layout, 6));
  CHECK(slabs.take() == places[70]);

  for (const std::byte* place : places) slabs.give(place);
  CHECK(buffer_bytes() == before);
}

TEST("pooled keys in a slab and behind the heads are the same, and so are the scores") {
  constexpr int kLength = 64 * 9 + 40, kLayer = 4;
  const SparseRule rule{.local_blocks = 1, .top_k = 3, .dense_len = 64};
  Random random(3);
  Workers workers(2);
  for (const DType dtype : {DType::f32, DType::f16, DType::i8}) {
    KvLayout behind = layout_of(dtype);
    behind.pooled_run = 1;
    const KvLayout layout = layout_of(dtype);
    KvBlocks blocks(behind, kLength);
    Array k(kLength, 64), v(kLength, 64), q(1, 128);
    k.fill(random, -2, 2);
    v.fill(random, -1, 1);
    q.fill(random, -3, 3);
    blocks.append(k, v, kLayer, 0);
    PooledSlabs slabs(layout);
    std::vector<std::byte*> places;
    for (int64_t b = 0; b < blocks_for(kLength); ++b) places.push_back(slabs.take());
    const Segment all{0, kLength, 0, blocks.blocks(), places.data()};
    const Segment all_behind{0, kLength, 0, blocks.blocks()};
    const Segment last{0, 1, kLength - 1, blocks.blocks(), places.data()};
    const Segment last_behind{0, 1, kLength - 1, blocks.blocks()};
    for (const CpuKernels* set : kernel_sets()) {
      set->pool_keys({{&all, 1}, layout, kLayer}, workers);
      set->pool_keys({{&all_behind, 1}, behind, kLayer}, workers);
      std::vector<std::byte> bytes(layout.pooled_bytes());
      for (size_t b = 0; b < places.size(); ++b) {
        slabs.read(places[b], bytes.data());
        CHECK(std::memcmp(bytes.data(), blocks.blocks()[b] + layout.before_pooled(),
                          bytes.size()) == 0);
      }
      for (const bool coarse : {false, true}) {
        SparseRule its = rule;
        its.coarse = coarse;
        Array expected(2, 16), scores(2, 16);
        const auto score = [&](const Segment& segment, const KvLayout& of, Array& to) {
          set->score_blocks({to.tensor(), q.tensor(), {&segment, 1}, of, kLayer, 0.2f, its},
                            workers);
        };
        score(last_behind, behind, expected);
        score(last, layout, scores);
        CHECK(same_bits(scores.tensor(), expected.tensor()));
        CHECK(scores.floats()[5] > 0);
      }
    }
  }
}

TEST("a block's content has its pooled keys, wherever they lie") {
  const KvLayout layout = layout_of(DType::f16, 2);
  BlockStore store(layout, 0);
  KvCache cache(store, run_key(""), 128);
  cache.grow(100);
  const PooledSlabs slabs(layout);
  const auto fill = [&](std::span<std::byte> bytes) {
    CHECK(bytes.size() == layout.block_bytes());
    std::memset(bytes.data(), 3, layout.before_pooled());
    std::ranges::copy(pattern(layout, 9), bytes.data() + layout.before_pooled());
    return true;
  };
  CHECK(store.write(*cache.kv_blocks()[1], fill));
  std::vector<std::byte> pooled(layout.pooled_bytes());
  slabs.read(cache.pooled()[1], pooled.data());
  CHECK(pooled == pattern(layout, 9));

  const KvCache fork = KvCache::fork(cache);
  CHECK(fork.pooled()[1] != cache.pooled()[1]);
  Buffer copy;
  const std::span<const std::byte> content = store.content(*fork.kv_blocks()[1], copy);
  CHECK(content.size() == layout.block_bytes());
  CHECK(content[layout.before_pooled() - 1] == std::byte{3});
  CHECK(std::ranges::equal(content.subspan(layout.before_pooled(), pooled.size()), pooled));
}

}  // namespace minicpm::test
