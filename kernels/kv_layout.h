// Where keys and values stand inside a KV block of 64 tokens.
//
// A block holds, for every layer and KV head, K then V, each starting on a 4 KiB boundary (so that
// a spilled block can be read head by head). K is 4 tiles of [head_dim][16 keys]: a kernel that
// keeps keys in its lanes reads it without a reduction across lanes. V is row-wise, [64][head_dim].
// Slots beyond the sequence's end are zero, never NaN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/tensor.h"

namespace minicpm {

constexpr int kBlockTokens = 64;
constexpr int kTileKeys = 16;

struct KvLayout {
  DType dtype = DType::f16;  // f32 or f16
  int layers = 0;
  int kv_heads = 0;
  int head_dim = 0;

  /// Bytes of K (or V) of one layer and head, padding included.
  size_t head_bytes() const {
    const size_t bytes = size_t{kBlockTokens} * static_cast<size_t>(head_dim) * size_of(dtype);
    return (bytes + 4095) & ~size_t{4095};
  }

  size_t block_bytes() const { return 2 * head_bytes() * static_cast<size_t>(layers * kv_heads); }

  size_t k_offset(int layer, int kv_head) const {
    return 2 * head_bytes() * static_cast<size_t>(layer * kv_heads + kv_head);
  }

  size_t v_offset(int layer, int kv_head) const { return k_offset(layer, kv_head) + head_bytes(); }

  /// Index, in elements from the head's K, of dimension `dim` of key `slot` (0..63).
  size_t k_index(int slot, int dim) const {
    return static_cast<size_t>((slot / kTileKeys * head_dim + dim) * kTileKeys + slot % kTileKeys);
  }

  /// Index, in elements from the head's V, of dimension `dim` of value `slot`.
  size_t v_index(int slot, int dim) const { return static_cast<size_t>(slot * head_dim + dim); }
};

/// Neighbouring rows of a batch that continue one sequence. A batch is a list of segments: one for
/// a prefill slice, one a sequence for a batched decode step.
struct Segment {
  int row = 0;                         // first row in the batch
  int count = 0;                       // rows
  int position = 0;                    // of the first row in its sequence
  std::byte* const* blocks = nullptr;  // the sequence's KV blocks; position p is in blocks[p / 64]
};

/// Throws Error{kShape} unless `layout` is one that kernels can read and has that layer.
void expect(const char* op, const KvLayout& layout, int layer);

/// Throws Error{kShape} unless the segments are in order, do not overlap, have blocks and lie
/// within [0, rows).
void expect(const char* op, std::span<const Segment> segments, int64_t rows);

}  // namespace minicpm
