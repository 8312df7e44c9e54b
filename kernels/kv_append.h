#pragma once

#include <span>

#include "kernels/kv_layout.h"

namespace minicpm {

/// Writes one layer's keys and values of every row into the blocks of its segment's sequence,
/// rounding to the layout's dtype (to nearest, ties to even). The blocks must exist for every
/// position written.
struct KvAppend {
  Tensor k;  // [tokens, kv_heads * head_dim], f32, rotated
  Tensor v;  // [tokens, kv_heads * head_dim], f32
  std::span<const Segment> segments;
  KvLayout layout;
  int layer;

  void check() const;
};

}  // namespace minicpm
