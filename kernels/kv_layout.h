// Where keys and values stand inside a KV block of 64 tokens.
//
// A block holds, for every layer and KV head, K then V, each starting on a 4 KiB boundary (so that
// a spilled block can be read head by head). K is 4 tiles of [head_dim][16 keys]: a kernel that
// keeps keys in its lanes reads it without a reduction across lanes. V is row-wise, [64][head_dim].
// Slots beyond the sequence's end are zero, never NaN.
//
// As int8, a key (or value) of one head is its numbers over its scale, rounded: q in [-127, 127],
// with the largest magnitude m of the head_dim numbers
//
//   scale = m / 127, q = x * (127 / m) rounded to nearest, ties to even
//
// and as QuantizeRows has it where m is tiny or one is no number. K is 4 tiles of
// [head_dim / 4][16 keys][4], bytes q + 128: what a packed matrix of 16 rows is (packed.h, w8).
// V is row-wise, bytes q. The scales, f32, come behind all heads: for every layer and head 64 of
// the keys, then 64 of the values.
//
// Of a model with sparse attention, the pooled keys (kernels/sparse_rule.h) that end in the block
// come behind all heads, in rows: one a layer and head of the fine ones, [head_dim][4 fine ones],
// so that 4 blocks make a tile of 16 in lanes; behind them the coarse ones, 4 heads a row,
// [head_dim] each. In block b those are the fine ones 4 b - 1 to 4 b + 2 and the coarse one b - 1;
// in the first block the first of each does not exist. As int8 they are [head_dim / 4][4 fine
// ones][4] and [head_dim], bytes q + 128, each rounded as a key is; behind each head's 4 fine ones,
// or its coarse one, stand their scales, f32.
//
// Or they lie in a slab for `pooled_run` blocks, where all blocks' first rows are followed by all
// blocks' second rows: whoever reads a head's pooled keys of all blocks finds them side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/tensor.h"

namespace minicpm {

constexpr int kBlockTokens = 64;
constexpr int kTileKeys = 16;
constexpr int kMostInt8HeadDim = 2048;
constexpr int kPooledKeys = 32;  // of a fine pooled key; a coarse one has two blocks
constexpr int kPoolStride = 16;
constexpr int kBlockWindows = kBlockTokens / kPoolStride;  // fine pooled keys of a block
constexpr int kCoarseWindow = kBlockWindows;               // where a coarse one is meant

struct KvLayout {
  DType dtype = DType::f16;  // f32, f16 or i8
  int layers = 0;
  int kv_heads = 0;
  int head_dim = 0;
  bool pooled = false;  // with pooled keys
  int pooled_run = 1;   // blocks that have theirs in one slab; 1: each behind its heads

  /// Bytes of K (or V) of one layer and head, padding included.
  constexpr size_t head_bytes() const {
    const size_t bytes = size_t{kBlockTokens} * static_cast<size_t>(head_dim) * size_of(dtype);
    return (bytes + 4095) & ~size_t{4095};
  }

  constexpr size_t heads_bytes() const {
    return 2 * head_bytes() * static_cast<size_t>(layers * kv_heads);
  }

  /// Of the scales of one layer's and head's keys; those of its values are 64 floats further.
  constexpr size_t scales_offset(int layer, int kv_head) const {
    return heads_bytes() + static_cast<size_t>(layer * kv_heads + kv_head) * 2 * kBlockTokens * 4;
  }

  constexpr size_t before_pooled() const {
    return dtype == DType::i8 ? scales_offset(layers, 0) : heads_bytes();
  }

  /// Of a block whose pooled keys are behind its heads.
  constexpr size_t block_bytes() const {
    return (before_pooled() + (pooled ? pooled_bytes() : 0) + 4095) & ~size_t{4095};
  }

  /// Of one pooled key, its scale included.
  constexpr size_t pooled_key_bytes() const {
    const size_t scale = dtype == DType::i8 ? sizeof(float) : 0;
    return static_cast<size_t>(head_dim) * size_of(dtype) + scale;
  }

  constexpr size_t pooled_row_bytes() const { return size_t{kBlockWindows} * pooled_key_bytes(); }
  constexpr int pooled_rows() const {
    return layers * kv_heads + (layers * kv_heads + kBlockWindows - 1) / kBlockWindows;
  }
  constexpr size_t pooled_bytes() const {
    return static_cast<size_t>(pooled_rows()) * pooled_row_bytes();
  }
  /// From where a block's pooled keys begin.
  constexpr size_t pooled_row_at(int row) const {
    return static_cast<size_t>(row) * static_cast<size_t>(pooled_run) * pooled_row_bytes();
  }

  /// Of the fine pooled keys of one layer and head, from where the block's begin, whichever of them
  /// `window` (0..3) is; or of the coarse one (kCoarseWindow).
  constexpr size_t pooled_at(int layer, int kv_head, int window) const {
    const bool coarse = window == kCoarseWindow;
    const int head = layer * kv_heads + kv_head;
    const int row = coarse ? layers * kv_heads + head / kBlockWindows : head;
    const int keys_before = coarse ? head % kBlockWindows : 0;
    return pooled_row_at(row) + static_cast<size_t>(keys_before) * pooled_key_bytes();
  }

  /// Index of dimension `dim`, in elements from there.
  constexpr size_t pooled_index(int window, int dim) const {
    const int at = window == kCoarseWindow ? dim
                   : dtype == DType::i8    ? (dim / 4 * kBlockWindows + window) * 4 + dim % 4
                                           : dim * kBlockWindows + window;
    return static_cast<size_t>(at);
  }

  /// Its scale in int8, in bytes from there.
  constexpr size_t pooled_scale_at(int window) const {
    const int at = window == kCoarseWindow
                       ? head_dim
                       : kBlockWindows * head_dim + window * static_cast<int>(sizeof(float));
    return static_cast<size_t>(at);
  }

  constexpr size_t k_offset(int layer, int kv_head) const {
    return 2 * head_bytes() * static_cast<size_t>(layer * kv_heads + kv_head);
  }

  constexpr size_t v_offset(int layer, int kv_head) const {
    return k_offset(layer, kv_head) + head_bytes();
  }

  /// Index, in elements from the head's K, of dimension `dim` of key `slot` (0..63).
  constexpr size_t k_index(int slot, int dim) const {
    if (dtype == DType::i8) {
      return static_cast<size_t>(slot / kTileKeys * head_dim * kTileKeys +
                                 (dim / 4 * kTileKeys + slot % kTileKeys) * 4 + dim % 4);
    }
    return static_cast<size_t>((slot / kTileKeys * head_dim + dim) * kTileKeys + slot % kTileKeys);
  }

  /// Index, in elements from the head's V, of dimension `dim` of value `slot`.
  constexpr size_t v_index(int slot, int dim) const {
    return static_cast<size_t>(slot * head_dim + dim);
  }
};

/// Neighbouring rows of a batch that continue one sequence. A batch is a list of segments: one for
/// a prefill slice, one a sequence for a batched decode step.
struct Segment {
  int row = 0;                         // first row in the batch
  int count = 0;                       // rows
  int position = 0;                    // of the first row in its sequence
  std::byte* const* blocks = nullptr;  // the sequence's KV blocks; position p is in blocks[p / 64]
  std::byte* const* pooled = nullptr;  // where their pooled keys begin; null: behind their heads

  /// Where the pooled keys of a block begin.
  constexpr std::byte* pooled_keys(const KvLayout& layout, int64_t block) const {
    return pooled ? pooled[block] : blocks[block] + layout.before_pooled();
  }
};

/// Blocks that hold `tokens`.
constexpr int64_t blocks_for(int64_t tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}

/// Throws Error{kShape} unless `layout` is one that kernels can read and has that layer.
void expect(const char* op, const KvLayout& layout, int layer);

/// Throws Error{kShape} unless the segments are in order, do not overlap, have blocks and lie
/// within [0, rows).
void expect(const char* op, std::span<const Segment> segments, int64_t rows);

}  // namespace minicpm
