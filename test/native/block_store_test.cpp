#include "native/engine/block_store.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "native/engine/kv_cache.h"
#include "test/kernels/test.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

const KvLayout kLayout{.dtype = DType::f16, .layers = 1, .kv_heads = 1, .head_dim = 8};

std::vector<int32_t> counting(int count, int from = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) tokens[static_cast<size_t>(i)] = from + i;
  return tokens;
}

/// A cache holding `tokens`, each block marked with `mark`.
void write(KvCache& cache, std::vector<int32_t>& held, const std::vector<int32_t>& tokens,
           int mark) {
  cache.grow(static_cast<int64_t>(held.size() + tokens.size()));
  for (int64_t i = 0; i < blocks_for(static_cast<int64_t>(held.size() + tokens.size())); ++i) {
    std::memset(cache.blocks()[i], mark, kLayout.block_bytes());
  }
  held.insert(held.end(), tokens.begin(), tokens.end());
  cache.seal(held);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

int64_t prefill_cached(Sequence& sequence, std::vector<int32_t> tokens) {
  Waiter waiter;
  sequence.submit(PrefillWork{.tokens = std::move(tokens)}, waiter.listener());
  waiter.wait();
  return waiter.cached;
}

TEST("a prefix that was sealed is found again, but for its last token") {
  BlockStore store(kLayout, 1 << 20);
  {
    KvCache first(store, run_key("a"), 256);
    std::vector<int32_t> held;
    write(first, held, counting(200), 7);
  }
  CHECK(store.usage().held == 0);
  CHECK(store.usage().cached == 3);
  for (const auto& [next, expected] :
       {std::pair{200, 192}, {193, 192}, {192, 128}, {64, 0}, {65, 64}}) {
    KvCache again(store, run_key("a"), 256);
    std::vector<int32_t> held;
    CHECK(again.attach(held, counting(next)).tokens == expected);
    CHECK(static_cast<int>(held.size()) == expected);
    if (expected > 0) CHECK(again.blocks()[0][0] == std::byte{7});
  }
  KvCache other_run(store, run_key("b"), 256);
  std::vector<int32_t> held;
  CHECK(other_run.attach(held, counting(200)).tokens == 0);
  CHECK(store.usage().promised == 4);
}

TEST("an open block gives way to a stored one that begins alike") {
  BlockStore store(kLayout, 1 << 20);
  KvCache first(store, run_key("a"), 256);
  std::vector<int32_t> held;
  write(first, held, counting(128), 7);
  KvCache second(store, run_key("a"), 256);
  std::vector<int32_t> begun;
  write(second, begun, counting(30), 9);
  CHECK(second.attach(begun, counting(200, 30)).tokens == 98);
  CHECK(begun == counting(128));
  CHECK(second.blocks()[1] == first.blocks()[1]);
  CHECK(store.usage().held == 2);
  CHECK(store.usage().promised == 2 + 2);
}

TEST("the same prefix written twice is held once") {
  BlockStore store(kLayout, 1 << 20);
  KvCache a(store, run_key(""), 128), b(store, run_key(""), 128);
  std::vector<int32_t> held_a, held_b;
  write(a, held_a, counting(64), 1);
  write(b, held_b, counting(64), 1);
  CHECK(a.blocks()[0] == b.blocks()[0]);
  CHECK(store.usage().held == 1);
  CHECK(store.usage().promised == 2);
}

TEST("cutting a shared block leaves the others' copy whole") {
  BlockStore store(kLayout, 1 << 20);
  KvCache a(store, run_key(""), 128);
  std::vector<int32_t> held;
  write(a, held, counting(100), 3);
  KvCache b = KvCache::fork(a);
  CHECK(b.blocks()[0] == a.blocks()[0]);
  CHECK(b.blocks()[1] != a.blocks()[1]);
  CHECK(std::memcmp(b.blocks()[1], a.blocks()[1], kLayout.block_bytes()) == 0);
  b.truncate(10);
  CHECK(b.blocks()[0] != a.blocks()[0]);
  const auto slot = [](const KvCache& cache, int at) {
    return cache.blocks()[0][kLayout.v_offset(0, 0) + kLayout.v_index(at, 0) * 2];
  };
  CHECK(slot(a, 10) == std::byte{3});
  CHECK(slot(b, 9) == std::byte{3});
  CHECK(slot(b, 10) == std::byte{0});
}

TEST("blocks nobody holds are dropped oldest first, at the budget") {
  BlockStore store(kLayout, static_cast<int64_t>(2 * kLayout.block_bytes()));
  for (int i = 0; i < 3; ++i) {
    KvCache cache(store, run_key(""), 64);
    std::vector<int32_t> held;
    write(cache, held, counting(64, 1000 * i), i);
  }
  CHECK(store.usage().cached == 2);
  const auto is_cached = [&](int i) {
    KvCache cache(store, run_key(""), 128);
    std::vector<int32_t> held;
    return cache.attach(held, counting(65, 1000 * i)).tokens == 64;
  };
  CHECK(!is_cached(0));
  CHECK(is_cached(1));
  CHECK(is_cached(2));
  store.clear_cache();
  CHECK(store.usage().cached == 0);
}

TEST("a cut cache grows again to its capacity while the store keeps what it had") {
  BlockStore store(kLayout, static_cast<int64_t>(100 * kLayout.block_bytes()));
  KvCache cache(store, run_key(""), 256);
  for (int i = 0; i < 3; ++i) {
    std::vector<int32_t> held;
    cache.truncate(0);
    write(cache, held, counting(256, 1000 * i), i + 1);
    CHECK(store.usage().held == 4);
    CHECK(store.usage().cached == 4 * i);
    CHECK(store.usage().promised == 0);
  }
  std::vector<std::byte*> blocks(cache.blocks(), cache.blocks() + 4);
  std::ranges::sort(blocks);
  CHECK(std::ranges::adjacent_find(blocks) == blocks.end());
}

TEST_ON_DEVICES("a full block is cut where the store has promised no other") {
  TinyModel tiny(device);
  const std::vector<int32_t> tokens = random_tokens(kBlockTokens, 8);
  const auto sequence = tiny.model->create_sequence(kBlockTokens);
  prefill(*sequence, tokens);
  const std::vector<float> logits = sequence->logits();
  sequence->truncate(40);
  CHECK(tiny.model->store().usage().promised == 0);
  prefill(*sequence, {tokens.begin() + 40, tokens.end()});
  CHECK(sequence->logits() == logits);
  CHECK(tiny.model->store().usage().promised == 0);
}

TEST("blocks and promises add up after random schedules") {
  const int64_t before = buffer_bytes();
  {
    BlockStore store(kLayout, static_cast<int64_t>(5 * kLayout.block_bytes()));
    std::mt19937 random(1);
    struct Held {
      std::unique_ptr<KvCache> cache;
      std::vector<int32_t> tokens;
    };
    std::vector<Held> all;
    for (int step = 0; step < 3000; ++step) {
      const size_t at = all.empty() ? 0 : random() % all.size();
      switch (random() % 5) {
        case 0:
          if (all.size() < 6)
            all.push_back({std::make_unique<KvCache>(store, run_key(""), 512), {}});
          break;
        case 1:
          if (!all.empty() && all.size() < 6) {
            all.push_back({std::unique_ptr<KvCache>(new KvCache(KvCache::fork(*all[at].cache))),
                           all[at].tokens});
          }
          break;
        case 2:
          if (!all.empty() && random() % 4 == 0) all.erase(all.begin() + static_cast<long>(at));
          break;
        case 3:
          if (!all.empty()) {
            const size_t length = random() % (all[at].tokens.size() + 1);
            all[at].cache->truncate(static_cast<int64_t>(length));
            all[at].tokens.resize(length);
          }
          break;
        default:
          if (!all.empty()) {
            const size_t more = std::min<size_t>(random() % 150, 512 - all[at].tokens.size());
            const std::vector<int32_t> next(more, static_cast<int32_t>(random() % 2));
            const auto found =
                static_cast<size_t>(all[at].cache->attach(all[at].tokens, next).tokens);
            all[at].tokens.insert(all[at].tokens.end(), next.begin() + static_cast<long>(found),
                                  next.end());
            all[at].cache->grow(static_cast<int64_t>(all[at].tokens.size()));
            all[at].cache->seal(all[at].tokens);
          }
      }
      std::vector<std::byte*> distinct;
      int64_t growth = 0;
      for (const Held& held : all) {
        const int64_t blocks = blocks_for(static_cast<int64_t>(held.tokens.size()));
        growth += 8 - blocks;
        distinct.insert(distinct.end(), held.cache->blocks(), held.cache->blocks() + blocks);
      }
      std::ranges::sort(distinct);
      const auto repeated = std::ranges::unique(distinct);
      const auto held = static_cast<int64_t>(distinct.size() - repeated.size());
      CHECK(store.usage().held == held);
      CHECK(store.usage().promised == growth);
      CHECK(store.usage().cached <= 5);
    }
  }
  CHECK(buffer_bytes() == before);
}

TEST_ON_DEVICES("logits are the same bits from the store, after a fork and after a cut") {
  TinyModel tiny(device, 2);
  const std::vector<int32_t> tokens = random_tokens(200, 3);
  const auto plain = tiny.model->create_sequence(256);
  CHECK(prefill_cached(*plain, tokens) == 0);
  const std::vector<float> expected = plain->logits();

  const auto stored = tiny.model->create_sequence(256);
  CHECK(prefill_cached(*stored, tokens) == 192);
  CHECK(same_bits(stored->logits(), expected));

  const auto fork = plain->fork();
  CHECK(same_bits(fork->logits(), expected));
  CHECK(decode(*fork, 40) == decode(*plain, 40));

  fork->truncate(50);
  CHECK(prefill_cached(*fork, {tokens.begin() + 50, tokens.end()}) == 142);
  CHECK(same_bits(fork->logits(), expected));
}

TEST_ON_DEVICES("made-up blocks of a bench are never found by another sequence") {
  TinyModel tiny(device);
  const auto filled = tiny.model->create_sequence(256);
  Waiter waiter;
  filled->submit(FillWork{.length = 128}, waiter.listener());
  waiter.wait();
  prefill(*filled, std::vector<int32_t>(70, 0));
  const auto other = tiny.model->create_sequence(256);
  CHECK(prefill_cached(*other, std::vector<int32_t>(200, 0)) == 0);
}

}  // namespace
}  // namespace minicpm::test
