#pragma once

#include <span>

#include "kernels/kv_layout.h"

namespace minicpm {

/// Pooled keys of one layer (kernels/sparse_rule.h): every fine and coarse one that ends at a
/// position of a segment becomes the mean of its keys as the blocks hold them, rounded to the
/// layout's dtype; int8 ones have a scale each. The keys must be in the blocks already.
///
/// Sums run over tiles of 16 keys first, lane by lane, then over the lanes by one fixed tree: the
/// same bits on all instruction sets.
struct PoolKeys {
  std::span<const Segment> segments;
  KvLayout layout;  // with pooled keys
  int layer;

  void check() const;
};

}  // namespace minicpm
