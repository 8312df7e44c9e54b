#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

void select_blocks(const SelectBlocks& op) {
  for (const Segment& segment : op.segments) {
    for (int64_t row = int64_t{segment.row} * op.kv_heads;
         row < int64_t{segment.row + segment.count} * op.kv_heads; row++) {
      const int64_t position = segment.position + row / op.kv_heads - segment.row;
      const int64_t own = position / kBlockTokens;
      uint64_t* words = op.masks.words + row * op.masks.stride;
      std::fill_n(words, op.masks.stride, 0);
      const auto select = [&](int64_t b) { words[b / 64] |= uint64_t{1} << (b % 64); };

      const bool all = op.rule.attends_all(position);
      const int64_t end = op.rule.candidates_end(position);
      for (int64_t b = 0; b <= own; b++) {
        if (all || b < op.rule.init_blocks || b >= end) select(b);
      }
      if (all) continue;
      const float* scores = op.scores.as<float>() + row * op.scores.columns;
      std::vector<int64_t> candidates(static_cast<size_t>(end - op.rule.init_blocks));
      std::iota(candidates.begin(), candidates.end(), op.rule.init_blocks);
      std::ranges::sort(candidates, [&](int64_t a, int64_t b) {
        return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
      });
      const auto chosen = std::min(candidates.size(), static_cast<size_t>(op.rule.chosen()));
      for (size_t i = 0; i < chosen; i++) select(candidates[i]);
    }
  }
}

}  // namespace minicpm::reference
