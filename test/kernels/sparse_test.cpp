// score_blocks, select_blocks and attention over what they select.
#include <numeric>

#include "kernels/cpu/select_blocks.h"
#include "test/kernels/kv_blocks.h"
#include "test/kernels/test.h"
#include "test/native/allocations.h"

namespace minicpm::test {

namespace {

SparseRule rule_of(bool v41, bool coarse, int init, int local, int top_k, int64_t dense_len) {
  return {.init_blocks = init,
          .local_blocks = local,
          .top_k = top_k,
          .dense_len = dense_len,
          .v41 = v41,
          .coarse = coarse};
}

/// One sequence with queries, and what each of its rows attends to.
struct Sequence {
  KvLayout layout;
  SparseRule rule;
  int length, group;
  float scale;
  Array q, k, v;
  KvBlocks blocks;

  Sequence(Random& random, KvLayout layout, SparseRule rule, int group, int length)
      : layout(layout),
        rule(rule),
        length(length),
        group(group),
        scale(1 / std::sqrt(static_cast<float>(layout.head_dim))),
        q(length, layout.kv_heads * group * layout.head_dim),
        k(length, layout.kv_heads * layout.head_dim),
        v(length, layout.kv_heads * layout.head_dim),
        blocks(layout, length) {
    q.fill(random, -3, 3);
    k.fill(random, -2, 2);
    v.fill(random, -1, 1);
    blocks.append(k, v, 0, 0);
  }

  int64_t columns() const { return (length + 63) / 64; }
  int64_t stride() const { return (columns() + 63) / 64; }
  Segment segment(int first, int count) const { return {0, count, first, blocks.blocks()}; }

  /// Scores, masks and results of rows [first, first + count), by kernels of the caller's.
  template <typename Score, typename Select, typename Attend>
  void run(int first, int count, Score score, Select select, Attend attend, Array& scores,
           std::vector<uint64_t>& masks, Array& y) {
    const Segment one = segment(first, count);
    const Tensor queries = q.tensor().slice(first, count);
    const Tensor rows =
        scores.tensor().slice(int64_t{first} * layout.kv_heads, int64_t{count} * layout.kv_heads);
    const BlockMasks selected{masks.data() + first * layout.kv_heads * stride(), stride()};
    score(ScoreBlocks{rows, queries, {&one, 1}, layout, 0, scale, rule});
    select(SelectBlocks{selected, rows, {&one, 1}, layout.kv_heads, rule});
    attend(
        Attention{y.tensor().slice(first, count), queries, {&one, 1}, layout, 0, scale, selected});
  }

  Array scores() const { return Array(length * layout.kv_heads, columns()); }
  std::vector<uint64_t> masks() const {
    return std::vector<uint64_t>(static_cast<size_t>(length * layout.kv_heads * stride()), ~0ull);
  }
  Array result() const { return Array(length, layout.kv_heads * group * layout.head_dim); }
};

template <typename Op>
auto checked(void (*kernel)(const Op&, Workers&), Workers& workers) {
  return [kernel, &workers](const Op& op) {
    op.check();
    kernel(op, workers);
  };
}

}  // namespace

TEST("a rule's numbers: budget, places to choose, and who attends to all") {
  const SparseRule v40 = rule_of(false, false, 1, 32, 64, 8192);
  const SparseRule v41 = rule_of(true, false, 1, 32, 64, 0);
  CHECK(v40.budget() == 96 && v41.budget() == 96);
  CHECK(v40.chosen() == 63 && v41.chosen() == 62);  // beside 1 + 32 and 1 + 33
  CHECK(v41.attends_all(6143) && !v41.attends_all(6144));
  CHECK(v40.attends_all(8190) && !v40.attends_all(8191));
  CHECK(v41.candidates_end(6144) == 64);  // own block 96, 33 near ones from 64 on
  CHECK(fine_windows(30) == 0 && fine_windows(31) == 1 && fine_windows(46) == 1);
  CHECK(fine_windows(47) == 2 && coarse_windows(126) == 0 && coarse_windows(127) == 1);
  CHECK(coarse_windows(190) == 1 && coarse_windows(191) == 2);
  CHECK_THROWS(ErrorCode::kShape, rule_of(true, false, 2, 1, 2, 0).check("op"));
}

TEST("select_blocks takes the best scores, of equal ones the lower block, and forced ones always") {
  const SparseRule rule = rule_of(true, false, 1, 1, 4, 0);  // 1 first, 2 near, 2 chosen
  Workers workers(2);
  Array scores(1, 16);
  const float given[] = {9, 1, 3, 3, 0, 3, 2, -0.0f, 9, 9};
  for (size_t i = 0; i < 10; i++) scores.set(i, given[i]);
  const Segment segment{0, 1, 9 * 64 + 5, nullptr};  // own block 9; 1..7 compete
  for (const bool fast : {false, true}) {
    uint64_t mask = ~0ull;
    const SelectBlocks op{{&mask, 1}, scores.tensor(), {&segment, 1}, 1, rule};
    if (fast) {
      select_blocks(op, workers);
    } else {
      reference::select_blocks(op);
    }
    CHECK(mask == (1u << 0 | 1u << 8 | 1u << 9 | 1u << 2 | 1u << 3));
  }
}

TEST("select_blocks chooses as the definition does among many blocks, whatever their scores are") {
  Random random(7);
  Workers workers(2);
  for (const int blocks : {255, 259, 400, 2050}) {
    for (const int top : {3, 63, 200}) {
      for (const int levels : {1, 5, 1 << 20}) {
        const SparseRule rule = rule_of(false, false, 1, 2, top, 0);
        Array scores(1, blocks);
        for (size_t i = 0; i < static_cast<size_t>(blocks); i++) {
          scores.set(i, static_cast<float>(random.below(levels)) - static_cast<float>(levels / 2));
        }
        scores.set(17, INFINITY);
        scores.set(18, -INFINITY);
        const Segment segment{0, 1, int64_t{blocks} * 64 - 1, nullptr};
        const auto words = static_cast<size_t>(blocks + 63) / 64;
        std::vector<uint64_t> expected(words, ~0ull), mask(words, ~0ull);
        const auto op = [&](std::vector<uint64_t>& to) {
          return SelectBlocks{
              {to.data(), static_cast<int64_t>(words)}, scores.tensor(), {&segment, 1}, 1, rule};
        };
        reference::select_blocks(op(expected));
        select_blocks(op(mask), workers);
        CHECK(mask == expected);
      }
    }
  }
}

TEST("scores equal the definition, and masks and attention have the same bits on all sets") {
  Random random(2);
  struct Given {
    DType dtype;
    int kv_heads, head_dim, group, length;
    SparseRule rule;
  };
  const Given cases[] = {
      {DType::f32, 1, 32, 16, 700, rule_of(true, false, 1, 1, 4, 0)},
      {DType::f32, 2, 64, 4, 530, rule_of(false, true, 1, 2, 3, 0)},
      {DType::f16, 2, 64, 8, 660, rule_of(true, true, 1, 2, 5, 300)},
      {DType::f16, 1, 40, 3, 450, rule_of(false, false, 0, 1, 2, 0)},
      {DType::f16, 1, 128, 2, 900, rule_of(true, false, 2, 3, 6, 64)},
      {DType::f16, 1, 32, 17, 470, rule_of(true, true, 1, 1, 3, 0)},
      {DType::i8, 2, 64, 8, 700, rule_of(true, true, 1, 1, 4, 0)},
  };
  for (const auto& [dtype, kv_heads, head_dim, group, length, rule] : cases) {
    Sequence given(random, {dtype, 1, kv_heads, head_dim, true}, rule, group, length);
    Array expected_scores = given.scores(), expected = given.result();
    std::vector<uint64_t> expected_masks = given.masks();
    given.run(0, length, reference::score_blocks, reference::select_blocks, reference::attention,
              expected_scores, expected_masks, expected);
    Array first_scores = given.scores(), first = given.result();
    std::vector<uint64_t> first_masks;
    for (const CpuKernels* set : kernel_sets()) {
      for (const auto& [threads, chunk] : {std::pair{1, length}, {2, 1}, {3, 7}, {2, 64}}) {
        Workers workers(threads);
        Array scores = given.scores(), y = given.result();
        std::vector<uint64_t> masks = given.masks();
        // In chunks: the last rows.
        const int from = chunk < length ? length - (kSanitized ? 66 : 150) : 0;
        for (int at = from; at < length; at += chunk) {
          given.run(at, std::min(chunk, length - at), checked(set->score_blocks, workers),
                    checked(select_blocks, workers), checked(set->attention, workers), scores,
                    masks, y);
        }
        const auto rows = [&](Array& all, int per_row) {
          return all.tensor().slice(from * per_row, (length - from) * per_row);
        };
        CHECK(worst_error(rows(scores, kv_heads), rows(expected_scores, kv_heads), 1) < 1e-5);
        if (first_masks.empty()) {
          first_masks = masks, first_scores = scores, first = y;
          // Where two scores are nearer than their errors the choice may differ: not in these.
          CHECK(masks == expected_masks);
          CHECK(worst_error(y.tensor(), expected.tensor(), 1) < 1e-5);
        }
        const auto skipped = static_cast<ptrdiff_t>(from * kv_heads * given.stride());
        CHECK(std::equal(masks.begin() + skipped, masks.end(), first_masks.begin() + skipped));
        CHECK(same_bits(rows(scores, kv_heads), rows(first_scores, kv_heads)));
        CHECK(same_bits(rows(y, 1), rows(first, 1)));
      }
    }
  }
}

TEST("scores of contexts of many chunks equal the definition, with the same bits on all sets") {
  Random random(6);
  const int length = 9000, rows = 3;
  for (DType dtype : {DType::f16, DType::i8}) {
    for (const bool coarse : {false, true}) {
      Sequence given(random, {dtype, 1, 2, 32, true}, rule_of(true, coarse, 1, 2, 5, 0), 4, length);
      const Segment one = given.segment(length - rows, rows);
      const Tensor q = given.q.tensor().slice(length - rows, rows);
      const auto op = [&](Array& scores) {
        return ScoreBlocks{scores.tensor(), q, {&one, 1}, given.layout, 0, given.scale, given.rule};
      };
      Array expected(rows * 2, given.columns()), first(rows * 2, given.columns());
      reference::score_blocks(op(expected));
      bool any = false;
      for (const CpuKernels* set : kernel_sets()) {
        for (int threads : {1, 2, 7}) {
          Workers workers(threads);
          Array scores(rows * 2, given.columns());
          set->score_blocks(op(scores), workers);
          CHECK(worst_error(scores.tensor(), expected.tensor(), 1) < 1e-5);
          if (!any) first = scores;
          any = true;
          CHECK(same_bits(scores.tensor(), first.tensor()));
        }
      }
    }
  }
}

TEST("attention over all blocks selected has the bits of attention without a selection") {
  Random random(3);
  const SparseRule rule = rule_of(true, false, 1, 1, 40, 0);
  Sequence given(random, {DType::f16, 1, 2, 64, true}, rule, 4, 800);
  for (const CpuKernels* set : kernel_sets()) {
    for (const int count : {1, 20, 800}) {
      Workers workers(2);
      Array scores = given.scores(), y = given.result(), dense = given.result();
      std::vector<uint64_t> masks = given.masks();
      given.run(800 - count, count, checked(set->score_blocks, workers),
                checked(select_blocks, workers), checked(set->attention, workers), scores, masks,
                y);
      const Segment one = given.segment(800 - count, count);
      set->attention({dense.tensor().slice(800 - count, count),
                      given.q.tensor().slice(800 - count, count),
                      {&one, 1},
                      given.layout,
                      0,
                      given.scale},
                     workers);
      CHECK(same_bits(y.tensor(), dense.tensor()));
    }
  }
}

TEST("selection and sparse attention of a growing sequence allocate nothing") {
  Random random(4);
  Sequence given(random, {DType::f16, 1, 1, 32, true}, rule_of(true, true, 1, 1, 4, 0), 4, 900);
  for (const CpuKernels* set : kernel_sets()) {
    Workers workers(2);
    Array scores = given.scores(), y = given.result();
    std::vector<uint64_t> masks = given.masks();
    const auto step = [&](int position) {
      given.run(position, 1, checked(set->score_blocks, workers), checked(select_blocks, workers),
                checked(set->attention, workers), scores, masks, y);
    };
    step(0);
    step(520);
    const int64_t before = allocations();
    for (int position = 400; position < 900; position += 3) step(position);
    CHECK(allocations() == before);
  }
}

}  // namespace minicpm::test
