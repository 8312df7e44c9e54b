#include "kernels/cpu/select_blocks.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace minicpm {

namespace {

/// Larger for a higher score, then for a lower block: no two are equal.
uint64_t rank_of(float score, int64_t block) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 is 0
  const uint32_t ordered = bits >> 31 ? ~bits : bits | 0x80000000;
  return uint64_t{ordered} << 32 | static_cast<uint32_t>(~block);
}

void set_range(uint64_t* words, int64_t first, int64_t last) {
  for (int64_t b = first; b < last; b++) words[b / 64] |= uint64_t{1} << (b % 64);
}

void select(const SelectBlocks& op, int64_t position, int64_t row, uint64_t* ranks) {
  const SparseRule& rule = op.rule;
  uint64_t* words = op.masks.words + row * op.masks.stride;
  std::fill_n(words, op.masks.stride, 0);
  const int64_t blocks = position / kBlockTokens + 1, end = rule.candidates_end(position);
  if (rule.attends_all(position)) return set_range(words, 0, blocks);

  set_range(words, 0, rule.init_blocks);
  set_range(words, end, blocks);
  const float* scores = op.scores.as<float>() + row * op.scores.columns;
  const int64_t candidates = end - rule.init_blocks;
  for (int64_t i = 0; i < candidates; i++) {
    ranks[i] = rank_of(scores[rule.init_blocks + i], rule.init_blocks + i);
  }
  const int64_t chosen = std::min<int64_t>(rule.chosen(), candidates);
  std::nth_element(ranks, ranks + chosen, ranks + candidates, std::greater<>());
  for (int64_t i = 0; i < chosen; i++) {
    const int64_t block = static_cast<uint32_t>(~ranks[i]);
    set_range(words, block, block + 1);
  }
}

}  // namespace

void select_blocks(const SelectBlocks& op, Workers& workers) {
  workers.reserve(static_cast<size_t>(op.scores.columns) * sizeof(uint64_t), 0);
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
                 int64_t{segment.row} * op.kv_heads + item,
                 static_cast<uint64_t*>(workers.scratch(thread)));
        },
        &context);
  }
}

}  // namespace minicpm
