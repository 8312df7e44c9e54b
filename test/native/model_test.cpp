#include <cmath>
#include <cstring>

#include "native/engine/kv_cache.h"
#include "native/model/rope_angles.h"
#include "test/kernels/test.h"

namespace minicpm::test {
namespace {

Config long_rope_config() {
  Config config{.head_dim = 8};
  config.long_rope = LongRope{.short_factor = {1, 1, 1, 1},
                              .long_factor = {2, 2, 2, 2},
                              .original_length = 100,
                              .magnitude = 1.5};
  return config;
}

TEST("LongRoPE's list is chosen by capacity and its magnitude multiplies") {
  float cos[4], sin[4];
  for (const int64_t capacity : {100, 101}) {
    RopeAngles(long_rope_config(), capacity).fill(3, 1, cos, sin);
    const double factor = capacity > 100 ? 2 : 1;
    for (int i = 0; i < 4; ++i) {
      const double angle = 3 * std::pow(10000, -2.0 * i / 8) / factor;
      CHECK(std::abs(cos[i] - 1.5 * std::cos(angle)) < 1e-6);
      CHECK(std::abs(sin[i] - 1.5 * std::sin(angle)) < 1e-6);
    }
  }
}

TEST("a position's angles do not depend on where the slice began") {
  const RopeAngles angles(long_rope_config(), 500);
  std::vector<float> cos(4 * 20), sin(4 * 20), one_cos(4), one_sin(4);
  angles.fill(400, 20, cos.data(), sin.data());
  angles.fill(413, 1, one_cos.data(), one_sin.data());
  CHECK(std::memcmp(&cos[13 * 4], one_cos.data(), 16) == 0);
  CHECK(std::memcmp(&sin[13 * 4], one_sin.data(), 16) == 0);
}

TEST("truncate zeroes the tail of the last block and keeps the rest") {
  const KvLayout layout{.dtype = DType::f16, .layers = 2, .kv_heads = 2, .head_dim = 8};
  BlockStore store(layout, 0);
  KvCache cache(store, run_key(""), 128);
  cache.grow(128);
  for (int block = 0; block < 2; ++block)
    std::memset(cache.blocks()[block], 1, layout.block_bytes());
  cache.truncate(70);
  const auto* values = reinterpret_cast<const uint16_t*>(cache.blocks()[1]);
  const size_t k = layout.k_offset(1, 1) / 2, v = layout.v_offset(1, 1) / 2;
  for (int slot = 0; slot < kBlockTokens; ++slot) {
    for (int dim = 0; dim < layout.head_dim; ++dim) {
      const uint16_t expected = slot < 6 ? 0x0101 : 0;
      CHECK(values[k + layout.k_index(slot, dim)] == expected);
      CHECK(values[v + layout.v_index(slot, dim)] == expected);
    }
  }
  cache.truncate(64);
  CHECK(cache.blocks()[0][0] == std::byte{1});
}

TEST("blocks that the machine cannot hold are refused at the reservation") {
  BlockStore store({.dtype = DType::f32, .layers = 4096, .kv_heads = 64, .head_dim = 128}, 0);
  CHECK_THROWS(ErrorCode::kOutOfMemory, KvCache(store, run_key(""), int64_t{1} << 30));
  KvCache small(store, run_key(""), 0);
}

}  // namespace
}  // namespace minicpm::test
