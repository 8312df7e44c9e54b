#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/ops.h"

namespace minicpm::reference {

namespace {

/// A scaled query; before int8 keys it is rounded to int8, too.
struct Query {
  const Attention& op;
  std::vector<double> numbers;

  Query(const Attention& op, const float* q)
      : op(op), numbers(scaled_query(op.layout, q, op.scale)) {}

  double dot(const std::byte* block, int kv_head, int slot) const {
    double sum = 0;
    for (int d = 0; d < op.layout.head_dim; d++) {
      sum += numbers[static_cast<size_t>(d)] *
             key_element(op.layout, block, op.layer, kv_head, slot, d);
    }
    return sum;
  }
};

/// One query head of row `row` of the segment against the keys up to it. `y` may be `q`.
void attend(const Attention& op, const Segment& segment, int row, int kv_head, const float* q,
            float* y) {
  const KvLayout& layout = op.layout;
  const int dim = layout.head_dim, position = segment.position + row;
  const int64_t mask_row = int64_t{segment.row + row} * layout.kv_heads + kv_head;
  const auto seen = [&](int key) {
    return op.selected.words == nullptr || op.selected.has(mask_row, key / kBlockTokens);
  };
  const Query query(op, q);
  std::vector<double> weights(static_cast<size_t>(position) + 1);
  double best = -INFINITY;
  for (int j = 0; j <= position; j++) {
    if (!seen(j)) continue;
    const std::byte* block = segment.blocks[j / kBlockTokens];
    const double score = query.dot(block, kv_head, j % kBlockTokens);
    weights[static_cast<size_t>(j)] = score;
    best = std::max(best, score);
  }
  double sum = 0;
  std::vector<double> result(static_cast<size_t>(dim));
  for (int j = 0; j <= position; j++) {
    if (!seen(j)) continue;
    const std::byte* block = segment.blocks[j / kBlockTokens];
    const double weight = std::exp(weights[static_cast<size_t>(j)] - best);
    sum += weight;
    for (int d = 0; d < dim; d++) {
      result[static_cast<size_t>(d)] +=
          weight * value_element(layout, block, op.layer, kv_head, j % kBlockTokens, d);
    }
  }
  for (int d = 0; d < dim; d++) y[d] = static_cast<float>(result[static_cast<size_t>(d)] / sum);
}

}  // namespace

void attention(const Attention& op) {
  const int dim = op.layout.head_dim;
  const int heads = static_cast<int>(op.q.columns) / dim;
  const int group = heads / op.layout.kv_heads;
  for (const Segment& segment : op.segments) {
    for (int i = 0; i < segment.count; i++) {
      for (int head = 0; head < heads; head++) {
        const int64_t at = (segment.row + i) * op.q.columns + head * dim;
        attend(op, segment, i, head / group, op.q.as<float>() + at, op.y.as<float>() + at);
      }
    }
  }
}

}  // namespace minicpm::reference
