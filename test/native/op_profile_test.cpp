#include "native/model/op_profile.h"

#include "test/kernels/test.h"
#include "test/native/tiny_model.h"

namespace minicpm::test {
namespace {

using Counts = std::array<OpProfile::Count, kOpKinds>;

/// 4 blocks a query: the first, two near ones, one chosen.
constexpr SparseRule kRule{.init_blocks = 1, .local_blocks = 1, .top_k = 3, .dense_len = 0};

const OpProfile::Count& of(const Counts& counts, OpKind kind) {
  return counts[static_cast<size_t>(kind)];
}

/// What `count` decode steps behind the sequence's tokens come to.
Counts decoded(TinyModel& tiny, Sequence& sequence, int64_t count) {
  decode(sequence, 1);  // the first step begins with a token
  tiny.model->start_profile();
  decode(sequence, count);
  return tiny.model->stop_profile();
}

TEST_ON_DEVICES(
    "decode behind made-up keys and values is the decode behind a prompt: same ops, same bytes") {
  for (const auto& sparse : {std::optional<SparseRule>(kRule), std::optional<SparseRule>()}) {
    TinyModel tiny(device, 2, sparse);
    const auto read = tiny.model->create_sequence(600), made = tiny.model->create_sequence(600);
    prefill(*read, random_tokens(500, 1));
    Waiter waiter;
    made->submit(FillWork{.length = 499}, waiter.listener());
    waiter.wait();
    prefill(*made, random_tokens(1, 1));
    CHECK(read->length() == made->length());
    const Counts one = decoded(tiny, *read, 5), other = decoded(tiny, *made, 5);
    for (size_t i = 0; i < one.size(); ++i) {
      CHECK(one[i].calls == other[i].calls);
      CHECK(one[i].bytes == other[i].bytes);
    }
    CHECK(of(one, OpKind::attention).calls == 2 * 5);
    CHECK(of(one, OpKind::score_blocks).calls == (sparse ? 2 * 5 : 0));
  }
}

TEST(
    "a decode step reads the blocks that it selects and the pooled keys that it sees, and all "
    "keys without a rule") {
  const int layers = 2, kv_heads = 2, head_dim = 16, position = 500;
  const auto number = static_cast<int64_t>(size_of(ModelPlan{}.kv_type));
  const int64_t block = 2 * kBlockTokens * head_dim * number;
  for (const bool sparse : {true, false}) {
    TinyModel tiny("cpu", 1, sparse ? std::optional<SparseRule>(kRule) : std::nullopt);
    CHECK(tiny.plan.kv_type == ModelPlan{}.kv_type);
    const auto sequence = tiny.model->create_sequence(600);
    prefill(*sequence, random_tokens(position, 1));
    const Counts counts = decoded(tiny, *sequence, 1);
    const int64_t heads = layers * kv_heads, blocks = sparse ? 4 : position / kBlockTokens + 1;
    CHECK(of(counts, OpKind::attention).bytes == heads * blocks * block);
    const int64_t windows = sparse ? (position + 1 - 32) / 16 + 1 : 0;
    CHECK(of(counts, OpKind::score_blocks).bytes == heads * windows * head_dim * number);
    CHECK(of(counts, OpKind::linear).bytes > 0);
  }
}

TEST("neighbouring rows of a prompt read a block of keys once for eight of them") {
  TinyModel tiny("cpu", 1);
  const auto sequence = tiny.model->create_sequence(100);
  tiny.model->start_profile();
  prefill(*sequence, random_tokens(20, 1));
  const Counts counts = tiny.model->stop_profile();
  const int64_t block = 2 * kBlockTokens * 16 * static_cast<int64_t>(size_of(tiny.plan.kv_type));
  CHECK(of(counts, OpKind::attention).bytes == 3 * 2 * 2 * block);  // units, layers, KV heads
}

TEST_ON_DEVICES("nothing is counted before a profile begins, and each begins at nothing") {
  TinyModel tiny(device, 1);
  const auto sequence = tiny.model->create_sequence(100);
  prefill(*sequence, random_tokens(20, 1));
  for (const auto& count : tiny.model->stop_profile()) CHECK(count.calls == 0);
  const Counts first = decoded(tiny, *sequence, 3), second = decoded(tiny, *sequence, 3);
  CHECK(of(first, OpKind::linear).calls == of(second, OpKind::linear).calls);
  CHECK(of(first, OpKind::linear).nanoseconds > 0);
}

}  // namespace
}  // namespace minicpm::test
