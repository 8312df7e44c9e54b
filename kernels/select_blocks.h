#pragma once

#include <span>

#include "kernels/sparse_rule.h"
#include "kernels/tensor.h"

namespace minicpm {

/// The blocks that each row attends to (kernels/sparse_rule.h), by its scores: higher first, then
/// the lower block. Rows that attend to all get all blocks up to their own.
struct SelectBlocks {
  BlockMasks masks;  // a row for every row of scores, written whole
  Tensor scores;     // [tokens * kv_heads, blocks], f32: of ScoreBlocks
  std::span<const Segment> segments;
  int kv_heads;
  SparseRule rule;

  void check() const;
};

}  // namespace minicpm
