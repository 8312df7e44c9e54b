#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

/// query . the pooled key that ends in window `window` of `block`, or its coarse one.
double dot_pooled(const ScoreBlocks& op, const Segment& segment, int kv_head,
                  const std::vector<double>& query, int64_t block, int window) {
  double dot = 0;
  for (int d = 0; d < op.layout.head_dim; d++) {
    dot += query[static_cast<size_t>(d)] *
           pooled_element(op.layout, segment, block, op.layer, kv_head, window, d);
  }
  return dot;
}

/// Adds one query head's softmax weights over the fine pooled keys to `sums`.
void add_weights(const ScoreBlocks& op, const Segment& segment, int kv_head, const float* q,
                 int64_t coarse, std::vector<double>& sums) {
  const std::vector<double> query = scaled_query(op.layout, q, op.scale);
  std::vector<double> x(sums.size()), n;
  for (size_t j = 0; j < x.size(); j++) {  // window j is in slot j + 1, counted through the blocks
    const auto at = static_cast<int64_t>(j) + 1;
    x[j] = dot_pooled(op, segment, kv_head, query, at / kBlockWindows,
                      static_cast<int>(at % kBlockWindows));
  }
  for (int64_t i = 0; i < coarse; i++) {
    n.push_back(dot_pooled(op, segment, kv_head, query, i + 1, kCoarseWindow));
  }
  const std::vector<double>& over = coarse > 0 ? n : x;
  const double best = *std::ranges::max_element(over);
  double sum = 0;
  for (const double each : over) sum += std::exp(each - best);
  for (size_t j = 0; j < x.size(); j++) sums[j] += std::exp(x[j] - best) / sum;
}

}  // namespace

void score_blocks(const ScoreBlocks& op) {
  const int dim = op.layout.head_dim, kv_heads = op.layout.kv_heads;
  const int group = static_cast<int>(op.q.columns) / dim / kv_heads;
  for (const Segment& segment : op.segments) {
    for (int i = 0; i < segment.count; i++) {
      const int64_t position = segment.position + i;
      if (op.rule.attends_all(position)) continue;
      for (int g = 0; g < kv_heads; g++) {
        std::vector<double> sums(static_cast<size_t>(fine_windows(position)));
        const float* q = op.q.as<float>() + (segment.row + i) * op.q.columns + g * group * dim;
        const int64_t coarse = op.rule.coarse ? coarse_windows(position) : 0;
        for (int a = 0; a < group; a++) {
          add_weights(op, segment, g, q + a * dim, coarse, sums);
        }
        float* scores =
            op.scores.as<float>() + ((segment.row + i) * kv_heads + g) * op.scores.columns;
        for (int64_t b = op.rule.init_blocks; b < op.rule.candidates_end(position); b++) {
          const auto first = static_cast<size_t>(std::max<int64_t>(kBlockWindows * b - 1, 0));
          const auto last = std::min(static_cast<size_t>(kBlockWindows * (b + 1)), sums.size());
          double best = -INFINITY;
          for (size_t j = first; j < last; j++) best = std::max(best, sums[j]);
          scores[b] = static_cast<float>(best);
        }
      }
    }
  }
}

}  // namespace minicpm::reference
