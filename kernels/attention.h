// Causal softmax attention over KV blocks, grouped queries (Ainslie et al. 2023, arXiv:2305.13245),
// with an online softmax (Milakov & Gimelshein 2018, arXiv:1805.02867).
#pragma once

#include <span>

#include "kernels/sparse_rule.h"

namespace minicpm {

/// y[t, h] = sum_j softmax_j(scale * q[t, h] . k[j, g]) v[j, g], j <= position of row t, g = h /
/// (heads / kv_heads).
///
/// Contract 1: each block of 64 keys gives a partial (max, sum, weighted values), the partials are
/// merged in block order; the order of every sum depends on the position alone. The rows' own keys
/// must already be in the blocks. Before int8 keys the scaled query is rounded to int8 as well, in
/// groups of 32 dimensions as QuantizeRows does it; a score then adds up, group by group,
/// fma(float(exact dot), key scale * query scale, sum).
///
/// With `selected`, j runs over the keys of the selected blocks only (InfLLM v2,
/// kernels/sparse_rule.h): a block adds nothing, or the same partial as without.
struct Attention {
  Tensor y;  // [tokens, heads * head_dim], f32; may be the same memory as q
  Tensor q;  // [tokens, heads * head_dim], f32, rotated
  std::span<const Segment> segments;
  KvLayout layout;
  int layer;
  float scale;               // 1 / sqrt(head_dim)
  BlockMasks selected = {};  // a row for every token and KV head; every row has at least one key

  void check() const;
};

}  // namespace minicpm
