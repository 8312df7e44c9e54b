#pragma once

#include <span>

#include "kernels/sparse_rule.h"
#include "kernels/tensor.h"

namespace minicpm {

/// Scores of the blocks that compete for a query's attention (kernels/sparse_rule.h).
///
/// With x_a[j] = scale * q_a . pooled[j] for the query heads a of KV head g:
///   s[j] = sum_a exp(x_a[j]) / sum_i exp(n_a[i]),  n = x (exact) or the same for coarse pooled
///   keys scores[t * kv_heads + g][b] = max s[j], 4 b - 1 <= j <= 4 b + 3, j seen by row t
/// for b in [init_blocks, candidates_end); the rest of a row, and rows that attend to all, are left
/// as they are. A query that sees no coarse pooled key yet is normalized exactly. Before int8
/// pooled keys the scaled query is rounded as Attention does it. Sums run in the order of windows,
/// by tiles of 16 in chunks of 64 blocks: the same bits on all instruction sets and any threads.
struct ScoreBlocks {
  Tensor scores;  // [tokens * kv_heads, blocks], f32; enough columns for every candidate
  Tensor q;       // [tokens, heads * head_dim], f32, rotated
  std::span<const Segment> segments;
  KvLayout layout;  // with pooled keys
  int layer;
  float scale;  // 1 / sqrt(head_dim)
  SparseRule rule;

  void check() const;
};

}  // namespace minicpm
