#include "kernels/cpu/select_blocks.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace minicpm {

namespace {

constexpr int64_t kSeries = 128;  // of scores: more than are chosen of most models

/// Larger for a higher score.
int32_t key_of(float score) {
  const auto bits = std::bit_cast<int32_t>(score + 0.0f);  // -0 is 0
  return bits ^ (bits >> 31 & 0x7fffffff);
}

/// Larger for a larger key, then for a lower block: no two are equal.
int64_t rank_of(int32_t key, int64_t block) {
  return int64_t{key} << 32 | static_cast<uint32_t>(~block);
}

/// A key that at least `count` of the scores reach, and not many more: the largest of each series
/// of every kSeries-th score, and of those the `count`-th.
int32_t reached_by(int64_t count, const float* scores, int64_t size) {
  int32_t largest[kSeries];
  for (int j = 0; j < kSeries; j++) largest[j] = key_of(scores[j]);
  for (int64_t i = kSeries; i + kSeries <= size; i += kSeries) {
    for (int j = 0; j < kSeries; j++) largest[j] = std::max(largest[j], key_of(scores[i + j]));
  }
  std::nth_element(largest, largest + count - 1, largest + kSeries, std::greater<>());
  return largest[count - 1];
}

void set_range(uint64_t* words, int64_t first, int64_t last) {
  for (int64_t b = first; b < last; b++) words[b / 64] |= uint64_t{1} << (b % 64);
}

void select(const SelectBlocks& op, int64_t position, int64_t row, void* memory) {
  const SparseRule& rule = op.rule;
  uint64_t* words = op.masks.words + row * op.masks.stride;
  std::fill_n(words, op.masks.stride, 0);
  const int64_t blocks = position / kBlockTokens + 1, end = rule.candidates_end(position);
  if (rule.attends_all(position)) return set_range(words, 0, blocks);

  set_range(words, 0, rule.init_blocks);
  set_range(words, end, blocks);
  const float* scores = op.scores.as<float>() + row * op.scores.columns + rule.init_blocks;
  const int64_t candidates = end - rule.init_blocks;
  auto* ranks = static_cast<int64_t*>(memory);
  const int64_t chosen = std::min<int64_t>(rule.chosen(), candidates);
  // nth_element branches on every comparison; this leaves it few.
  const bool many = chosen > 0 && chosen <= kSeries && candidates >= 2 * kSeries;
  const int32_t least = many ? reached_by(chosen, scores, candidates) : INT32_MIN;
  int64_t left = 0;
  for (int64_t i = 0; i < candidates; i++) {
    const int32_t key = key_of(scores[i]);
    ranks[left] = rank_of(key, rule.init_blocks + i);
    left += key >= least;
  }
  std::nth_element(ranks, ranks + chosen, ranks + left, std::greater<>());
  for (int64_t i = 0; i < chosen; i++) {
    const int64_t block = static_cast<uint32_t>(~ranks[i]);
    set_range(words, block, block + 1);
  }
}

}  // namespace

void select_blocks(const SelectBlocks& op, Workers& workers) {
  workers.reserve(static_cast<size_t>(op.scores.columns) * sizeof(int64_t), 0);
  for (const Segment& segment : op.segments) {
    struct Context {
      const SelectBlocks& op;
      const Segment& segment;
      Workers& workers;
    } context{op, segment, workers};
    workers.run(
        segment.count * op.kv_heads,
        [](void* given, int item, int thread) {
          const auto& [op, segment, workers] = *static_cast<Context*>(given);
          select(op, segment.position + item / op.kv_heads,
                 int64_t{segment.row} * op.kv_heads + item, workers.scratch(thread));
        },
        &context);
  }
}

}  // namespace minicpm
